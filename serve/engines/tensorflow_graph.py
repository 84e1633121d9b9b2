"""What the server derives from a graph that is about to run: its graph for shape inference, and its executor."""

import re
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from serve.engines.tensorflow_guards import SIZE_GUARD, called

# Constants up to this many bytes may determine shapes; larger ones are weights.
MAX_SHAPE_CONSTANT = 1024
# Operators of control flow (Node::IsControlFlow).
CONTROL_FLOW = re.compile("(Ref)?(Switch|Merge|Enter|Exit|NextIteration)|_SwitchN")


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
