"""The graph of a SavedModel, where somebody asks for it: the ops it uses, the names of its functions."""

import re
from collections import defaultdict
from collections.abc import Mapping

from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.errors import SavedModelError

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def parse_graph(meta_graph: wire.MetaGraphIndex) -> wire.GraphDef:
    """The GraphDef of a meta graph read by `reader.read_index`. Raises SavedModelError if it is damaged."""
    try:
        return wire.GraphDef.FromString(meta_graph.graph_def)
    except DecodeError as error:
        raise SavedModelError(f"The graph in the SavedModel file is damaged: {error}") from None


def parse_objects(object_graph: bytes) -> wire.SavedObjectGraph:
    """The SavedObjectGraph of a TF2 meta graph. Raises SavedModelError if it is damaged."""
    try:
        objects = wire.SavedObjectGraph.FromString(object_graph)
    except DecodeError as error:
        raise SavedModelError(f"The object graph in the SavedModel file is damaged: {error}") from None
    if any(not 0 <= child.node_id < len(objects.nodes) for node in objects.nodes for child in node.children):
        raise SavedModelError("The object graph in the SavedModel file is damaged: an object is missing.")
    return objects


def ops_used(graph: wire.GraphDef) -> list[str]:
    """The ops that `graph` can reach: its nodes and the functions they call by name, sorted."""
    functions = {function.signature.name: function for function in graph.library.function}
    used: set[str] = set()
    waiting = [graph.node]
    while waiting:
        for node in waiting.pop():
            called = (node.op, node.attr["f"].func.name) if node.op in _CALLS else (node.op,)
            for name in called:
                if name not in used and name in functions:
                    waiting.append(functions[name].node_def)
                used.add(name)
    return sorted(used - functions.keys())


def loaded_names(graph: wire.GraphDef) -> dict[str, str]:
    """Function name -> the name it has once TensorFlow loaded the library in a fresh process.

    TensorFlow numbers functions, and everything it makes for them, as they come: `__inference_predict_223` in the file
    becomes `__inference_predict_33`. Its listings are sorted by these names, as text.
    """
    functions = {function.signature.name: function for function in graph.library.function}
    names: dict[str, str] = {}
    number = 1
    for name in _load_order(graph):
        function = functions[name]
        outputs = sum(_output_count(node, functions) for node in function.node_def)
        number += len(function.signature.input_arg) + outputs + 2
        names[name] = re.sub(r"^(__inference_.*)_\d+$", rf"\1_{number}", name)
    return names


def _output_count(node: wire.NodeDef, functions: Mapping[str, wire.FunctionDef]) -> int:
    if "_output_shapes" in node.attr:
        return len(node.attr["_output_shapes"].list.shape)
    return len(functions[node.op].signature.output_arg) if node.op in functions else 1


def _load_order(graph: wire.GraphDef) -> list[str]:
    """The functions in the order TensorFlow loads them: what is called comes before its callers."""
    names = {function.signature.name for function in graph.library.function}
    gradients = {gradient.registered_op_type: gradient.gradient_func for gradient in graph.library.registered_gradients}
    callers: dict[str, list[str]] = defaultdict(list)
    missing: dict[str, int] = {}
    for function in graph.library.function:
        called = _called(function, names, gradients)
        missing[function.signature.name] = len(called)
        for name in called:
            callers[name].append(function.signature.name)
    ready = [name for name, count in missing.items() if count == 0]
    order = []
    while ready:
        name = ready.pop()
        order.append(name)
        for caller in callers[name]:
            missing[caller] -= 1
            if missing[caller] == 0:
                ready.append(caller)
    return order


def _called(function: wire.FunctionDef, names: set[str], gradients: dict[str, str]) -> set[str]:
    called: set[str] = set()
    for node in function.node_def:
        gradient = node.attr["_gradient_op_type"].s.decode() if "_gradient_op_type" in node.attr else ""
        if node.op in names:
            called.add(node.op)
        elif gradient in gradients and node.op not in _CALLS:
            called.add(gradients[gradient])
        else:
            for attr in node.attr.values():
                called.update(item.name for item in (attr.func, *attr.list.func) if item.name)
    return called & names
