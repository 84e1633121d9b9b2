"""The GraphDef of a SavedModel: parses it, lists its nodes and ops, and finds the dtype and shape of a tensor."""

from collections.abc import Iterator
from difflib import get_close_matches

from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.dtypes import dtype_name
from tfx_export.savedmodel.signature import Shape, TensorSpec, shape_from_proto

CALL_OPS = ("PartitionedCall", "StatefulPartitionedCall")


def parse_graph(meta_graph: wire.MetaGraphIndex) -> wire.GraphDef:
    """Parses the GraphDef of a meta graph that `reader.read_index` returned. Raises SavedModelError if damaged."""
    try:
        return wire.GraphDef.FromString(meta_graph.graph_def)
    except DecodeError as error:
        raise SavedModelError(f"The graph in the SavedModel file is damaged: {error}") from None


def all_nodes(graph: wire.GraphDef) -> Iterator[wire.NodeDef]:
    """Yields the nodes of a GraphDef, including the nodes of its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def ops_used(graph: wire.GraphDef) -> list[str]:
    """Returns the sorted names of the ops in `graph` and in the functions that it calls by name."""
    functions = {function.signature.name: function for function in graph.library.function}
    used: set[str] = set()
    waiting = [graph.node]
    while waiting:
        for node in waiting.pop():
            called = (node.op, node.attr["f"].func.name) if node.op in CALL_OPS else (node.op,)
            for name in called:
                if name not in used and name in functions:
                    waiting.append(functions[name].node_def)
                used.add(name)
    return sorted(used - functions.keys())


def find_tensor(meta_graph: wire.MetaGraphIndex, name: str) -> TensorSpec:
    """Returns dtype and shape of the tensor `name` (`softmax:0`, or `softmax` for its first output).

    Both are read from the file; nothing is inferred. The shape is None if the file does not state it.
    Raises SavedModelError if the node or the output does not exist, or if the file does not describe the op.
    """
    node_name, _, port = name.partition(":")
    nodes = {node.name: node for node in parse_graph(meta_graph).node}
    if node_name not in nodes or not (port or "0").isdecimal():
        near = get_close_matches(node_name, nodes, n=3)
        raise SavedModelError(
            f"There is no tensor {name!r} in the graph.",
            hint=f"Did you mean {', '.join(f'{each}:0' for each in near)}?" if near else "",
        )
    node, index = nodes[node_name], int(port or 0)
    ops = {op.name: op for op in meta_graph.meta_info_def.stripped_op_list.op}
    if node.op not in ops:
        raise SavedModelError(f"The dtypes of {name!r} are unknown: the file does not describe the op {node.op}.")
    dtypes = list(_output_dtypes(node, ops[node.op]))
    if index >= len(dtypes):
        raise SavedModelError(f"{node_name!r} ({node.op}) has {len(dtypes)} outputs: there is no {name!r}.")
    return TensorSpec(f"{node_name}:{index}", dtype_name(dtypes[index]), _output_shape(node, index))


def _output_dtypes(node: wire.NodeDef, op: wire.OpDef) -> Iterator[int]:
    defaults = {attr.name: attr.default_value for attr in op.attr}

    def value(name: str) -> wire.AttrValue:
        return node.attr[name] if name in node.attr else defaults[name]

    for output in op.output_arg:
        if output.type_list_attr:
            yield from value(output.type_list_attr).list.type
        else:
            dtype = value(output.type_attr).type if output.type_attr else output.type
            yield from [dtype] * (value(output.number_attr).i if output.number_attr else 1)


def _output_shape(node: wire.NodeDef, index: int) -> Shape | None:
    shapes = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
    if index < len(shapes):
        return shape_from_proto(shapes[index])
    if node.op == "Placeholder" and "shape" in node.attr:
        return shape_from_proto(node.attr["shape"].shape)
    return None
