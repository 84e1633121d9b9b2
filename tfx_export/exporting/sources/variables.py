"""Copies the variables that a TF1 graph needs into a new graph, with their values and kind (ref or resource)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.source_graph import VARIABLES
from tfx_export.exporting.sources.graph_nodes import Nodes, node_of
from tfx_export.exporting.sources.lift_function import load_values


def variables_of(nodes: Nodes, names: Iterable[str]) -> set[str]:
    """Returns the variables among the nodes `names`."""
    return {name for name in names if nodes.by_name[name].op in VARIABLES}


def unassigned(nodes: Nodes, names: Collection[str]) -> set[str]:
    """Returns the variables among the nodes `names` that none of these nodes assigns."""
    assigned = {node_of(nodes.by_name[name].input[0]) for name in names if nodes.by_name[name].op.startswith("Assign")}
    return variables_of(nodes, names) - assigned


def copy_variables(
    source: tf.compat.v1.Session, operations: Sequence[tf.Operation], target: tf.compat.v1.Session
) -> dict[str, tf.Tensor]:
    """Creates the variables `operations` of the session `source` in the graph of the session `target`.

    Returns the new tensor for the tensor of each variable (`w:0`). Raises SourceError if a variable has no value.
    """
    values = [_read(source, operation) for operation in operations]
    state: dict[str, tf.Tensor] = {}
    loads: list[tuple[tf.Variable, np.ndarray]] = []
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
def as_default_for_reading(graph: tf.Graph) -> Iterator[None]:
    """Makes `graph` the default one, to add ops that read its state, even if it is finalized as in estimators."""
    finalized = graph.finalized
    if finalized:
        graph._unsafe_unfinalize()
    try:
        with graph.as_default():
            yield
    finally:
        if finalized:
            graph.finalize()


def _read(session: tf.compat.v1.Session, operation: tf.Operation) -> np.ndarray:
    with as_default_for_reading(session.graph):
        tensor = operation.outputs[0]
        if operation.type == "VarHandleOp":
            tensor = tf.raw_ops.ReadVariableOp(resource=tensor, dtype=operation.get_attr("dtype"))
        try:
            value: np.ndarray = session.run(tensor)
            return value
        except tf.errors.FailedPreconditionError:
            raise SourceError(
                f"The variable {operation.name!r} has no value.", hint="Restore or initialise it before the export."
            ) from None
