"""What the server derives from a graph: its graph for shape inference, its executor, and whether it can run at all."""

import re
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from serve.engines.tensorflow_guards import SIZE_GUARD, called

# Constants up to this many bytes may determine shapes; larger ones are weights.
MAX_SHAPE_CONSTANT = 1024
# Operators of control flow (Node::IsControlFlow).
CONTROL_FLOW = re.compile("(Ref)?(Switch|Merge|Enter|Exit|NextIteration)|_SwitchN")


# Operators that call a function only if their condition holds, unless TensorFlow inlines it.
CONDITIONAL = re.compile("(Stateless)?(If|Case|While)")


def check_functions(graph_def: Any) -> None:
    """Raises ValueError if the graph calls a function that calls itself without a condition.

    TensorFlow inlines such a function until the stack overflows, or until it has used all memory.
    """
    functions = {function.signature.name: function.node_def for function in graph_def.library.function}
    calls = {name: set().union(*map(_always_called, nodes)) & functions.keys() for name, nodes in functions.items()}
    pending = list(set().union(*map(called, graph_def.node)) & functions.keys())
    for name in pending:
        for node in functions[name]:
            pending += (called(node) & functions.keys()) - set(pending)
    # Remove functions that call no other, or that no other calls, until only the cycles are left.
    left = set(pending)
    while ends := {name for name in left if not calls[name] & left or not any(name in calls[each] for each in left)}:
        left -= ends
    if left:
        raise ValueError(f"The function {min(left)} calls itself without end")


def _always_called(node: Any) -> set[str]:
    """The functions that `node` calls whenever it runs, or that TensorFlow inlines."""
    if CONDITIONAL.fullmatch(node.op) and not _is_inlined(node):
        return set()
    return called(node)


def _is_inlined(node: Any) -> bool:
    # Reading a missing attribute would add an empty one.
    return "_lower_using_switch_merge" in node.attr and bool(node.attr["_lower_using_switch_merge"].b)


def is_straight(graph_def: Any) -> bool:
    """Whether the graph has no control flow, function calls or references, so that operators can run in sequence."""
    functions = {function.signature.name for function in graph_def.library.function}
    return not any(
        CONTROL_FLOW.fullmatch(node.op) or _returns_reference(node.op) or called(node) & functions
        for node in graph_def.node
    )


def shape_graph(graph_def: Any) -> Any:
    """Returns `graph_def` with placeholders of the same shape in place of its weights."""
    without_weights = tf.compat.v1.GraphDef()
    without_weights.versions.CopyFrom(graph_def.versions)
    without_weights.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is None or tensor.ByteSize() <= MAX_SHAPE_CONSTANT:
            copied = without_weights.node.add()
            copied.CopyFrom(node)
            # A size guard would report a wrong rank before the operator does, in other words.
            copied.input[:] = [source for source in node.input if not source.endswith(SIZE_GUARD)]
            # Shapes that were inferred from the declared ones would contradict any other.
            for inferred in ("_output_shapes", "_input_shapes"):
                copied.attr.pop(inferred, None)
            continue
        placeholder = without_weights.node.add(name=node.name, op="Placeholder")
        placeholder.attr["dtype"].CopyFrom(node.attr["dtype"])
        placeholder.attr["shape"].shape.CopyFrom(tensor.tensor_shape)
    return without_weights


def _returns_reference(op: str) -> bool:
    definition = op_def_registry.get(op)
    return definition is None or any(arg.is_ref for arg in definition.output_arg)
