"""The functions on the root object of a TF2 SavedModel: what `tf.saved_model.load(...)` can call besides signatures."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfx_export import wire
from tfx_export.savedmodel.graph import CALL_OPS
from tfx_export.savedmodel.object_graph import parse_objects
from tfx_export.savedmodel.structured_value import decode


@dataclass(frozen=True)
class FunctionOption:
    """One concrete function: the types of its positional arguments and of its keyword arguments."""

    args: Sequence[object]
    kwargs: Mapping[str, object]


def has_object_graph(meta_graph: wire.MetaGraphIndex) -> bool:
    """Whether TensorFlow 2 wrote the meta graph; TF1 writers store no objects."""
    return bool(meta_graph.object_graph_def)


def root_functions(meta_graph: wire.MetaGraphIndex, graph: wire.GraphDef) -> dict[str, list[FunctionOption]]:
    """Returns the concrete functions by function name; names sorted, options in the order of saved_model_cli.

    `meta_graph` comes from `reader.read_index`; `graph` is its parsed GraphDef.
    """
    objects = parse_objects(meta_graph.object_graph_def)
    loaded = _loaded_names(graph)
    found: dict[str, list[FunctionOption]] = {}
    if not objects.nodes:
        return found
    for child in sorted(objects.nodes[0].children, key=lambda child: child.local_name):
        node = objects.nodes[child.node_id]
        match node.WhichOneof("kind"):
            case "function":
                names = sorted(node.function.concrete_functions, key=lambda name: loaded.get(name, name))
                keywords: Sequence[str] = ()
            case "bare_concrete_function":
                names = [node.bare_concrete_function.concrete_function_name]
                keywords = tuple(node.bare_concrete_function.argument_keywords)
            case _:
                continue
        found[child.local_name] = [_option(objects.concrete_functions[name], keywords) for name in names]
    return found


def _option(function: wire.SavedConcreteFunction, keywords: Sequence[str]) -> FunctionOption:
    match decode(function.canonicalized_input_signature):
        case (tuple(args), dict(kwargs)):
            return FunctionOption(args, kwargs)
        case _:
            return FunctionOption(keywords, {})


def _loaded_names(graph: wire.GraphDef) -> dict[str, str]:
    """Maps each function's name to the name it gets when TensorFlow loads the library in a new process.

    TensorFlow numbers functions, and everything it creates for them, in the order in which it loads them:
    `__inference_predict_223` in the file becomes `__inference_predict_33`. Its listings sort these names as text.
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
    """Returns the functions in the order in which TensorFlow loads them: each after the functions that it calls."""
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
        elif gradient in gradients and node.op not in CALL_OPS:
            called.add(gradients[gradient])
        else:
            for attr in node.attr.values():
                called.update(item.name for item in (attr.func, *attr.list.func) if item.name)
    return called & names
