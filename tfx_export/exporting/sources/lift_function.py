"""Lifts a traced `tf.function` out of eager TensorFlow: its graph, and a session with its variables and tables.

The values of the variables are fed. As constants they would be in the graph too, which doubles its size and can
exceed protobuf's limit of 2 GB.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.source_graph import Arrays, is_seed, new_session
from tfx_export.exporting.sources.table_content import TableContent
from tfx_export.savedmodel.graph_effects import find_effects

if TYPE_CHECKING:
    from tensorflow.core.framework.function_pb2 import FunctionDef

# A captured constant with more bytes becomes a variable, to keep the graph small.
_LARGE_CONSTANT_BYTES = 1 << 20
# Bytes of weights fed to the session at a time.
_CHUNK_BYTES = 1 << 28


@dataclass(frozen=True)
class LiftedFunction:
    """A lifted function. `state` maps placeholders of `body` to tensors of `session.graph`.

    `changed` are the variables of the function itself that it assigns, without the seeds of random numbers.
    """

    session: tf.compat.v1.Session
    body: tf.compat.v1.GraphDef
    state: dict[str, tf.Tensor]
    changed: tuple[tf.Variable, ...] = ()

    def keep_state(self, reference: Callable[[Arrays], Arrays]) -> Callable[[Arrays], Arrays]:
        """Returns `reference`, a call of the function, so that it leaves the function's variables as they were.

        Otherwise each probe would find another state, and a verified model would not be the user's any more.
        """

        def call(arrays: Arrays) -> Arrays:
            before = [tf.identity(variable) for variable in self.changed]
            try:
                return reference(arrays)
            finally:
                for variable, value in zip(self.changed, before, strict=True):
                    variable.assign(value)

        return call if self.changed else reference


def lift(function: "tf.types.experimental.ConcreteFunction") -> LiftedFunction:
    """Lifts the ConcreteFunction `function` and copies the values of its variables and tables.

    Raises SourceError if the function uses a resource that cannot be copied into a graph.
    """
    body = function.graph.as_graph_def()
    captures = list(zip(function.graph.external_captures, function.graph.internal_captures, strict=True))
    owners = {id(variable.handle): variable for variable in function.graph.variables}
    # Values are read before the new graph becomes the default one, because inside it eager values cannot be read.
    plans = [(internal.name, _copy(external, internal, owners, body)) for external, internal in captures]

    graph = tf.Graph()
    state: dict[str, tf.Tensor] = {}
    values: list[tuple[tf.Variable, tf.Tensor]] = []
    with graph.as_default():
        for name, copy in plans:
            if isinstance(copy, TableContent):
                state[name] = copy.rebuild()
            elif isinstance(copy, _Weight):
                variable = copy.declare()
                state[name] = variable.handle if copy.by_handle else variable.read_value()
                values.append((variable, copy.value))
            else:
                state[name] = tf.constant(copy)
        session = new_session(graph)
        load_values(session, values)
        session.run(tf.compat.v1.tables_initializer())
    _drop(body, {name.partition(":")[0] for name in state})
    effects = find_effects(body, [tensor.name for tensor in function.outputs])
    changed = tuple(
        owners[id(external)]
        for external, internal in captures
        if internal.op.name in effects.assigned
        and id(external) in owners
        and not is_seed(state[internal.name].op, effects)
    )
    return LiftedFunction(session, body, state, changed)


@dataclass(frozen=True)
class _Weight:
    name: str
    value: tf.Tensor
    trainable: bool
    by_handle: bool

    def declare(self) -> tf.Variable:
        return tf.compat.v1.Variable(
            lambda: tf.zeros(self.value.shape, self.value.dtype),
            trainable=self.trainable,
            name=self.name,
            use_resource=True,
        )


def _copy(
    external: tf.Tensor, internal: tf.Tensor, owners: dict[int, tf.Variable], body: tf.compat.v1.GraphDef
) -> _Weight | TableContent | np.ndarray:
    """Returns the replacement of the captured tensor `external` in another graph: a weight, a table, or an array."""
    if id(external) in owners:
        variable = owners[id(external)]
        name = variable.name.partition(":")[0]
        return _Weight(name, tf.convert_to_tensor(variable), bool(variable.trainable), True)
    dtypes = _lookup_dtypes(body, internal.op.name) if external.dtype == tf.resource else None
    if dtypes:
        keys, values = tf.raw_ops.LookupTableExportV2(table_handle=external, Tkeys=dtypes[0], Tvalues=dtypes[1])
        return TableContent.exported(keys.numpy(), values.numpy())
    if external.dtype in (tf.resource, tf.variant):
        raise SourceError(
            f"The model uses a resource ({internal.op.name}) that cannot be copied into a graph.",
            hint="Variables and lookup tables can be copied. Use one of these in the layer that holds the resource.",
        )
    if external.shape.num_elements() * external.dtype.size > _LARGE_CONSTANT_BYTES:
        return _Weight("constant", external, False, False)
    constant: np.ndarray = external.numpy()
    return constant


def load_values(session: tf.compat.v1.Session, values: Iterable[tuple[tf.Variable, np.ndarray | tf.Tensor]]) -> None:
    """Sets variables of `session` by feeding their values; `values` are pairs of variable and array or eager tensor."""
    feeds: dict[tf.Tensor, np.ndarray] = {}
    size = 0
    for variable, value in values:
        array = np.asarray(value)
        feeds[variable.initializer.inputs[1]] = array
        size += array.nbytes
        if size > _CHUNK_BYTES:
            _initialize(session, feeds)
            feeds, size = {}, 0
    _initialize(session, feeds)


def _initialize(session: tf.compat.v1.Session, feeds: dict[tf.Tensor, np.ndarray]) -> None:
    assignments = [operation for initial in feeds for operation in initial.consumers() if "Assign" in operation.type]
    if assignments:  # without weights the graph may be empty, and a session refuses to run an empty graph
        session.run(assignments, feed_dict=feeds)


def _drop(body: tf.compat.v1.GraphDef, names: set[str]) -> None:
    """Removes the placeholders `names` from `body`; they are replaced when the body is imported."""
    kept = [node for node in body.node if node.name not in names]
    for node in kept:
        # Colocation names other nodes, which may be removed ones.
        node.attr.pop("_class", None)
    del body.node[:]
    body.node.extend(kept)


def _lookup_dtypes(graph_def: tf.compat.v1.GraphDef, handle: str) -> tuple[int, int] | None:
    """Returns the dtypes of the keys and values of the table `handle`, from a lookup in it; None without a lookup.

    The handle itself does not have the dtypes, and exporting the table with wrong ones ends the process. Follows the
    handle into functions, loops and branches.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    return _search(graph_def.node, handle, functions)


def _search(
    nodes: Iterable[tf.compat.v1.NodeDef], handle: str, functions: dict[str, "FunctionDef"]
) -> tuple[int, int] | None:
    nodes = list(nodes)
    for node in nodes:
        for position, name in enumerate(node.input):
            if name.partition(":")[0] != handle:
                continue
            if node.op == "LookupTableFindV2":
                return node.attr["Tin"].type, node.attr["Tout"].type
            if node.op == "Identity" and (found := _search(nodes, node.name, functions)):
                return found
            for function in _called(node, functions):
                # The first input of a branch is its condition, which is not passed on to the function.
                arguments = function.signature.input_arg
                place = position - 1 if "If" in node.op or "Case" in node.op else position
                if place < len(arguments) and (found := _search(function.node_def, arguments[place].name, functions)):
                    return found
    return None


def _called(node: tf.compat.v1.NodeDef, functions: dict[str, "FunctionDef"]) -> list["FunctionDef"]:
    names = [value.func.name for value in node.attr.values() if value.HasField("func")]
    names += [one.name for value in node.attr.values() for one in value.list.func]
    return [functions[name] for name in names if name in functions]
