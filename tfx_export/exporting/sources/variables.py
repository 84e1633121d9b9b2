"""Carry the variables that a TF1 graph needs into a new graph, with their values and their kind (ref or resource)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.lift_function import load_values

VARIABLES = {"VarHandleOp", "Variable", "VariableV2"}


def carry_variables(source: Any, operations: Sequence[Any], target: Any) -> dict[str, Any]:
    """Make `operations` (of the session `source`) anew in the graph of the session `target`, with their values.

    Returns for the tensor of each (`w:0`) the one that stands for it. Raises SourceError for one without a value.
    """
    values = [_read(source, operation) for operation in operations]
    state: dict[str, Any] = {}
    loads: list[tuple[Any, Any]] = []
    with target.graph.as_default():
        for operation, value in zip(operations, values, strict=True):
            resource = operation.type == "VarHandleOp"
            variable = tf.compat.v1.Variable(
                lambda value=value: tf.zeros(value.shape, value.dtype), name=operation.name, use_resource=resource
            )
            state[operation.outputs[0].name] = variable.handle if resource else variable.op.outputs[0]
            loads.append((variable, value))
        load_values(target, loads)
    return state


@contextmanager
def reading(graph: Any) -> Iterator[None]:
    """`graph` as the default one, for ops that read its state; also if it is finalized, as those of estimators are."""
    finalized = graph.finalized
    if finalized:
        graph._unsafe_unfinalize()
    try:
        with graph.as_default():
            yield
    finally:
        if finalized:
            graph.finalize()


def _read(session: Any, operation: Any) -> Any:
    with reading(session.graph):
        tensor = operation.outputs[0]
        if operation.type == "VarHandleOp":
            tensor = tf.raw_ops.ReadVariableOp(resource=tensor, dtype=operation.get_attr("dtype"))
        try:
            return session.run(tensor)
        except tf.errors.FailedPreconditionError:
            raise SourceError(
                f"The variable {operation.name!r} has no value.", hint="Restore or initialise it before the export."
            ) from None
