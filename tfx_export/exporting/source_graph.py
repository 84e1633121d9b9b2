"""SourceGraph: the form in which every source is exported, a TF1 graph with initialised state.

Each module of `sources/` has a function that returns one. To add a source:

1. Create a `tf.Graph` with a session that holds the source's variables and lookup tables, and initialise them there.
   `sources/lift_function.py` does that for a `tf.function`; a TF1 checkpoint is restored.
2. Give the computation as a GraphDef (`body`) that names the tensors of its inputs and its state (`inputs`, `state`).
3. Give `reference`, which computes the source's own outputs without this graph, for verification to compare with.

Each signature calls the source once (`SourceGraph.call`): the weights are shared, the ops are copied.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType

import numpy as np
import tensorflow as tf

from tfx_export import wire
from tfx_export.errors import SpecError
from tfx_export.savedmodel.graph_effects import GraphEffects, find_effects

Arrays = Mapping[str, np.ndarray]
# The ops that hold variables.
VARIABLES = {"VarHandleOp", "Variable", "VariableV2"}


@dataclass(frozen=True)
class GraphInput:
    """An input of the source: its tensor in the body (`x:0`), its dtype, and its shape (batch dimension None)."""

    tensor: str
    dtype: tf.DType
    shape: tf.TensorShape


@dataclass(frozen=True)
class OwnSignature:
    """A signature that the source itself has, and that is written as it is if the spec describes none.

    `graph` computes it, and those of other signatures. `inputs` and `outputs` map the client's names to names in
    `graph`. `reference` computes the source's own outputs by the client's
    names. `method` is a full name; `defaults` are as in `Signature`. No output depends on `unused_inputs`.
    """

    name: str
    method: str
    graph: "SourceGraph"
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    reference: Callable[[Arrays], Arrays]
    defaults: Mapping[str, wire.TensorProto] = field(default_factory=dict)
    unused_inputs: Sequence[str] = ()

    def renamed(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> "OwnSignature":
        """Returns the signature with other names (`{old: new}`). Names that it does not have are left out.

        Raises SpecError if a new name is taken.
        """
        new_inputs = _new_names("input", self.inputs, {old: new for old, new in inputs.items() if old in self.inputs})
        new_outputs = _new_names(
            "output", self.outputs, {old: new for old, new in outputs.items() if old in self.outputs}
        )

        def reference(arrays: Arrays) -> Arrays:
            computed = self.reference({old: arrays[new] for old, new in new_inputs.items()})
            return {new: computed[old] for old, new in new_outputs.items()}

        return replace(
            self,
            inputs={new_inputs[name]: value for name, value in self.inputs.items()},
            outputs={new_outputs[name]: value for name, value in self.outputs.items()},
            reference=reference,
            defaults={new_inputs[name]: value for name, value in self.defaults.items()},
            unused_inputs=[new_inputs[name] for name in self.unused_inputs],
        )


@dataclass(frozen=True)
class SourceGraph:
    """A source as a TF1 graph with initialised state. As a context manager it closes the session.

    `inputs` and `outputs` are keyed by the names that clients will use; an output is the source's own tensor, which
    has the same name in the body. `state` maps placeholders in the body, for variables, tables and constants, to the
    tensors of `session.graph` that replace them. `signatures` are empty if the spec has to describe the signatures.
    """

    session: tf.compat.v1.Session
    body: tf.compat.v1.GraphDef
    inputs: Mapping[str, GraphInput]
    outputs: Mapping[str, tf.Tensor]
    state: Mapping[str, tf.Tensor]
    reference: Callable[[Arrays], Arrays]
    description: str
    notes: tuple[str, ...] = field(default=())
    signatures: tuple[OwnSignature, ...] = field(default=())

    @property
    def graph(self) -> tf.Graph:
        return self.session.graph

    @cached_property
    def effects(self) -> GraphEffects:
        """The side effects of computing the outputs."""
        return find_effects(self.body, [tensor.name for tensor in self.outputs.values()])

    def changed_variables(self) -> list[str]:
        """Returns the names of the variables that the graph assigns, except for the seeds of random numbers."""
        operations = [self.state[f"{name}:0"].op for name in self.effects.assigned if f"{name}:0" in self.state]
        return [one.name for one in operations if one.type in VARIABLES and not is_seed(one, self.effects)]

    def unused_inputs(self) -> list[str]:
        """Returns the names of the inputs that no output depends on; of its own signatures, if the source has some."""
        if self.signatures:
            return [f"{alias} ({own.name})" for own in self.signatures for alias in own.unused_inputs]
        outputs = {tensor.name for tensor in self.outputs.values()}
        needed = [node for node in self.body.node if node.name in self.effects.needed]
        read = outputs | {_with_index(tensor) for node in needed for tensor in node.input}
        return [name for name, one in self.inputs.items() if one.tensor not in read]

    def call(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Adds the source's ops to the default graph, applied to one tensor per input. Returns the output tensors."""
        mapped = {one.tensor: inputs[name] for name, one in self.inputs.items()}
        names = [tensor.name for tensor in self.outputs.values()]
        # The import refuses replacements for tensors that no node uses, such as inputs that no output depends on.
        read = {_with_index(tensor) for node in self.body.node for tensor in node.input}
        known = {**self.state, **mapped}
        replaced = {name: tensor for name, tensor in known.items() if name in read}
        # An output that is also an input is passed through; the body may lack its op.
        computed = [name for name in names if name not in known]
        imported = tf.graph_util.import_graph_def(self.body, input_map=replaced, return_elements=computed, name="model")
        tensors = {**known, **dict(zip(computed, imported, strict=True))}
        results = [tensors[name] for name in names]
        for result, tensor in zip(results, self.outputs.values(), strict=True):
            # Shape inference loses the shapes behind a lookup table; the source knows them. For tables of other kinds,
            # it infers other ranks, which are not the real ones.
            if result.shape.is_compatible_with(tensor.shape):
                result.set_shape(tensor.shape)
        return dict(zip(self.outputs, results, strict=True))

    def without_devices(self) -> "SourceGraph":
        """Returns the graph without the devices of its ops, which name hardware of the training machine."""
        if not any(node.device for node in _all_nodes(self.body)):
            return self  # avoids a copy: a frozen graph contains its weights
        body = type(self.body)()
        body.CopyFrom(self.body)
        remove_devices(body)
        return replace(self, body=body)

    def renamed(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> "SourceGraph":
        """Returns the graph with other names (`{old: new}`).

        Raises SpecError if an old name is unknown or a new one is taken.
        """
        if not inputs and not outputs:
            return self
        if self.signatures:
            for kind, changes, found in (
                ("input", inputs, {name for one in self.signatures for name in one.inputs}),
                ("output", outputs, {name for one in self.signatures for name in one.outputs}),
            ):
                _new_names(kind, dict.fromkeys(sorted(found)), {name: f"{name} " for name in changes})
            return replace(self, signatures=tuple(one.renamed(inputs, outputs) for one in self.signatures))
        new_inputs, new_outputs = _new_names("input", self.inputs, inputs), _new_names("output", self.outputs, outputs)

        def reference(arrays: Arrays) -> Arrays:
            computed = self.reference({old: arrays[new] for old, new in new_inputs.items()})
            return {new: computed[old] for old, new in new_outputs.items()}

        return replace(
            self,
            inputs={new_inputs[name]: value for name, value in self.inputs.items()},
            outputs={new_outputs[name]: value for name, value in self.outputs.items()},
            reference=reference,
        )

    def __enter__(self) -> "SourceGraph":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()


def _all_nodes(graph_def: tf.compat.v1.GraphDef) -> Iterator[tf.compat.v1.NodeDef]:
    """Yields the nodes of a GraphDef and those in its functions."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _with_index(tensor: str) -> str:
    """Returns the name of a tensor with its output index: `a` -> `a:0`."""
    return tensor if ":" in tensor else f"{tensor}:0"


def remove_devices(graph_def: tf.compat.v1.GraphDef) -> None:
    """Clears the devices of all ops of a GraphDef, in place."""
    for node in _all_nodes(graph_def):
        node.device = ""


def is_seed(variable: tf.Operation, effects: GraphEffects) -> bool:
    """Returns whether the op of a variable in a graph with `effects` holds the state of a random generator.

    Such a state is a vector of integers. It is not restored between two runs, because then both would draw the same.
    """
    if not effects.random:
        return False
    shape = tf.TensorShape(variable.get_attr("shape"))
    return bool(variable.get_attr("dtype").is_integer and shape.rank == 1)


class KeptVariables:
    """Variables of a session that a run assigns, but that should have the same values before every run.

    `operations` are the ops of the variables. Without any, this does nothing; else it adds ops to the default graph.
    """

    def __init__(self, session: tf.compat.v1.Session, operations: Sequence[tf.Operation]) -> None:
        self._session = session
        self._reads: list[tf.Tensor] = []
        self._assignments: list[tuple[tf.Tensor, tf.Operation]] = []
        for operation in operations:
            dtype, variable = operation.get_attr("dtype"), operation.outputs[0]
            value = tf.compat.v1.placeholder(dtype)
            if operation.type == "VarHandleOp":
                self._reads.append(tf.raw_ops.ReadVariableOp(resource=variable, dtype=dtype))
                assignment = tf.raw_ops.AssignVariableOp(resource=variable, value=value)
            else:
                self._reads.append(tf.identity(variable))
                assignment = tf.raw_ops.Assign(ref=variable, value=value, validate_shape=False).op
            self._assignments.append((value, assignment))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Sets the variables back to their present values when the context is left."""
        if not self._reads:
            yield
            return
        try:
            values = self._session.run(self._reads)
        except tf.errors.FailedPreconditionError:  # a variable has no value before the run
            yield
            return
        try:
            yield
        finally:
            placeholders, assignments = zip(*self._assignments, strict=True)
            self._session.run(assignments, dict(zip(placeholders, values, strict=True)))


def new_session(graph: tf.Graph) -> tf.compat.v1.Session:
    """Returns a session that runs `graph` on this machine, even if its ops name devices that do not exist here."""
    return tf.compat.v1.Session(graph=graph, config=tf.compat.v1.ConfigProto(allow_soft_placement=True))


def _new_names(kind: str, existing: Mapping[str, object], changes: Mapping[str, str]) -> dict[str, str]:
    unknown = [name for name in changes if name not in existing]
    if unknown:
        raise SpecError(
            f"The model has no {kind} named {unknown[0]!r}.", hint=f"Its {kind}s: {', '.join(map(repr, existing))}"
        )
    names = {name: changes.get(name, name) for name in existing}
    taken = [new for new in names.values() if list(names.values()).count(new) > 1]
    if taken:
        raise SpecError(
            f"Two {kind}s would be named {taken[0]!r}.",
            hint=f"The {kind}s after renaming: {', '.join(f'{old}={new}' for old, new in names.items())}",
        )
    return names
