"""Dtype and shape of any tensor of a graph, from what is written beside it: no shapes are computed."""

from collections.abc import Iterator
from difflib import get_close_matches

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.dtypes import dtype_name
from tfx_export.savedmodel.graph import parse_graph
from tfx_export.savedmodel.signature import Shape, TensorSpec, shape_from_proto


def find_tensor(meta_graph: wire.MetaGraphIndex, name: str) -> TensorSpec:
    """The tensor `name` (`softmax:0`, or `softmax` for its first output) of a meta graph.

    Raises SavedModelError if there is no such node or output, or if the op is not described in the file.
    """
    node_name, _, port = name.partition(":")
    nodes = {node.name: node for node in parse_graph(meta_graph).node}
    if node_name not in nodes or not (port or "0").isdecimal():
        near = get_close_matches(node_name, nodes, n=3)
        raise SavedModelError(
            f"There is no tensor {name!r} in the graph.",
            hint=f"Did you mean {', '.join(f'{each}:0' for each in near)}?" if near else "",
        )
    node, place = nodes[node_name], int(port or 0)
    ops = {op.name: op for op in meta_graph.meta_info_def.stripped_op_list.op}
    if node.op not in ops:
        raise SavedModelError(f"The dtypes of {name!r} are unknown: the op {node.op} is not described in the file.")
    dtypes = list(_dtypes(node, ops[node.op]))
    if place >= len(dtypes):
        raise SavedModelError(f"{node_name!r} ({node.op}) has {len(dtypes)} outputs: there is no {name!r}.")
    return TensorSpec(f"{node_name}:{place}", dtype_name(dtypes[place]), _shape(node, place))


def _dtypes(node: wire.NodeDef, op: wire.OpDef) -> Iterator[int]:
    defaults = {attr.name: attr.default_value for attr in op.attr}

    def value(name: str) -> wire.AttrValue:
        return node.attr[name] if name in node.attr else defaults[name]

    for output in op.output_arg:
        if output.type_list_attr:
            yield from value(output.type_list_attr).list.type
        else:
            dtype = value(output.type_attr).type if output.type_attr else output.type
            yield from [dtype] * (value(output.number_attr).i if output.number_attr else 1)


def _shape(node: wire.NodeDef, place: int) -> Shape | None:
    shapes = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
    if place < len(shapes):
        return shape_from_proto(shapes[place])
    if node.op == "Placeholder" and "shape" in node.attr:
        return shape_from_proto(node.attr["shape"].shape)
    return None
