"""SourceGraph: what every source becomes before it is signed and written.

A source adapter (`keras.py`, ...) is a function that returns one. To add a source:

1. Make a `tf.Graph` with a session, hold the source's variables and lookup tables in it, and initialise them there.
   For a `tf.function` that is `functions.lift`; a TF1 checkpoint is restored into it.
2. Give the computation as a GraphDef in which inputs and state are named, not owned (`body`, `inputs`, `state`).
3. Give `reference`: the source's own answer, computed without this graph, for verification to compare with.

Signatures then call the source as often as they like (`SourceGraph.call`): the weights are shared, the ops are copied.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_export.errors import SpecError

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class GraphInput:
    """An input of the source: its tensor in the body (`x:0`), dtype and shape (batch dimension None)."""

    tensor: str
    dtype: tf.DType
    shape: tf.TensorShape


@dataclass(frozen=True)
class SourceGraph:
    """A source as a TF1 graph with initialised state. Close it (it is a context manager) to free the session.

    `inputs` and `outputs` are keyed by the names clients will use; an output is the source's own tensor, named as in
    the body. `state` maps tensors of the body that stand for variables, tables and constants to the tensors of
    `session.graph` that are these.
    """

    session: Any
    body: Any
    inputs: Mapping[str, GraphInput]
    outputs: Mapping[str, Any]
    state: Mapping[str, Any]
    reference: Callable[[Arrays], Arrays]
    description: str
    notes: tuple[str, ...] = field(default=())

    @property
    def graph(self) -> Any:
        return self.session.graph

    def call(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Apply the source to `inputs` (a tensor for each name) in the graph that is the default; its outputs."""
        mapped = {source.tensor: inputs[name] for name, source in self.inputs.items()}
        names = [tensor.name for tensor in self.outputs.values()]
        results = tf.graph_util.import_graph_def(
            self.body, input_map={**self.state, **mapped}, return_elements=names, name="model"
        )
        for result, tensor in zip(results, self.outputs.values(), strict=True):
            # What the source knows of shapes gets lost behind a table.
            result.set_shape(tensor.shape)
        return dict(zip(self.outputs, results, strict=True))

    def without_devices(self) -> "SourceGraph":
        """With ops that may run anywhere: what is named otherwise are devices of the machine that trained it."""
        if not any(node.device for node in _all_nodes(self.body)):
            return self  # a frozen graph, weights and all, is not copied for nothing
        body = type(self.body)()
        body.CopyFrom(self.body)
        forget_devices(body)
        return replace(self, body=body)

    def renamed(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> "SourceGraph":
        """With names changed (`{old: new}`). Raises SpecError for an old name that is not there or a new one taken."""
        if not inputs and not outputs:
            return self
        new_inputs, new_outputs = _new_names("input", self.inputs, inputs), _new_names("output", self.outputs, outputs)

        def reference(arrays: Arrays) -> Arrays:
            answers = self.reference({old: arrays[new] for old, new in new_inputs.items()})
            return {new: answers[old] for old, new in new_outputs.items()}

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


def _all_nodes(graph_def: Any) -> Iterator[Any]:
    """The nodes of a GraphDef and those in its functions."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def forget_devices(graph_def: Any) -> None:
    """Clear, in place, the devices of all ops of a GraphDef."""
    for node in _all_nodes(graph_def):
        node.device = ""


def new_session(graph: Any) -> Any:
    """A session that runs `graph` here, whatever devices its ops were meant for."""
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
