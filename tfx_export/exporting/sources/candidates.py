"""Finds the likely inputs and outputs of a TF1 graph. They are proposed to the user, never chosen silently.

A training graph ends in loss and accuracy, and the outputs that clients want lie before them. Such an output is a node
whose consumers all depend on more placeholders than the node itself (those of the labels), or one without consumers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.exporting.sources.graph_nodes import Nodes, node_of
from tfx_export.exporting.sources.session import (
    PIPELINE_OPS,
    TensorSelection,
    pipeline_outputs,
)
from tfx_export.exporting.sources.switches import bind_option, is_switch
from tfx_export.recognise import quoted

_PLACEHOLDERS = {"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"}
# Ops that are never outputs for clients: control flow, shapes, bookkeeping, state.
_NEVER_OUTPUTS = {
    "Assign", "AssignAdd", "AssignSub", "AssignVariableOp", "Const", "Enter", "Exit", "Fill", "LoopCond", "Merge",
    "NextIteration", "NoOp", "Pack", "Placeholder", "PlaceholderWithDefault", "Rank", "ReadVariableOp", "RestoreV2",
    "SaveV2", "Shape", "ShapeN", "Size", "StridedSlice", "Switch", "VarHandleOp", "VarIsInitializedOp", "VariableV2",
}  # fmt: skip
# Points for ops that often produce the output that clients want.
_OUTPUT_POINTS = {
    "Softmax": 4,
    "Sigmoid": 4,
    "ArgMax": 2,
    "TopKV2": 2,
    "BiasAdd": 1,
    "Identity": 1,
    "AddV2": 1,
    "Add": 1,
}
# Prefixes of the names of nodes that only training needs.
_TRAINING = ("gradients", "save/", "Adam", "train", "loss", "accuracy", "summary", "report_uninitialized")


@dataclass(frozen=True)
class Candidate:
    """A likely input or output: its tensor (`softmax:0`), op, dtype and shape, and the placeholders it depends on."""

    tensor: str
    op: str
    dtype: str
    shape: str
    depends: frozenset[str] = frozenset()
    # The option that fixes it at its value for inference.
    bind: str = ""

    @property
    def alias(self) -> str:
        """A name for clients: the last part of the op's name that is not just the op's type."""
        if self.op in PIPELINE_OPS:
            index = self.tensor.partition(":")[2]
            return "batch" if index == "0" else f"batch_{index}"
        parts = self.tensor.partition(":")[0].split("/")
        return next((part for part in reversed(parts) if part != self.op), parts[-1])


@dataclass(frozen=True)
class Candidates:
    """Inputs in the order of the graph, outputs with the likeliest first, and scalars that switch training on."""

    inputs: Sequence[Candidate]
    outputs: Sequence[Candidate]
    switches: Sequence[Candidate]
    detections: Sequence[Candidate] = ()


# The outputs of the Object Detection API begin so; a client wants all of them.
_DETECTIONS = ("detection_", "num_detections")


def find_candidates(graph: tf.Graph) -> Candidates:
    """Returns the candidates of a `tf.Graph`."""
    graph_def = graph.as_graph_def()
    nodes = Nodes(graph_def)
    placeholders = [
        name for name, node in nodes.by_name.items() if node.op in _PLACEHOLDERS and not name.startswith(_TRAINING)
    ]
    switches = [name for name in placeholders if is_switch(graph.get_tensor_by_name(f"{name}:0"))]
    inputs = [graph.get_tensor_by_name(f"{name}:0") for name in placeholders if name not in switches]
    for name in nodes.by_name:
        inputs += pipeline_outputs(graph, nodes, name)

    depends: dict[str, set[str]] = {name: set() for name in nodes.by_name}
    for tensor in inputs:
        readers = [one.name for one in tensor.consumers()]
        for name in nodes.dependents([node_of(tensor.name)] if tensor.op.type in _PLACEHOLDERS else readers):
            depends[name].add(tensor.name)
    ranked = sorted(
        (name for name in nodes.by_name if depends[name] and _may_be_output(graph, nodes, name)),
        key=lambda name: (-_score(nodes, depends, name), len(name)),
    )
    outputs = [name for name in ranked if _score(nodes, depends, name) > 0]
    return Candidates(
        [_candidate(tensor) for tensor in inputs],
        [_candidate(_first_output(graph, name), depends[name]) for name in outputs[:10]],
        [_candidate(graph.get_tensor_by_name(f"{name}:0")) for name in switches],
        [
            _candidate(_first_output(graph, name), depends[name])
            for name in nodes.by_name
            if name.startswith(_DETECTIONS) and depends[name] and not nodes.consumers[name]
        ],
    )


def _may_be_output(graph: tf.Graph, nodes: Nodes, name: str) -> bool:
    node = nodes.by_name[name]
    operation = graph.get_operation_by_name(name)
    if node.op in _NEVER_OUTPUTS or not operation.outputs or name.startswith(_TRAINING):
        return False
    tensor = operation.outputs[0]
    return tensor.dtype not in (tf.bool, tf.resource, tf.variant) and tensor.shape.rank != 0


def _score(nodes: Nodes, depends: dict[str, set[str]], name: str) -> int:
    consumers = [c for c in nodes.consumers[name] if not c.startswith(_TRAINING) and nodes.by_name[c].op != "Shape"]
    bonus = _OUTPUT_POINTS.get(nodes.by_name[name].op, 0)
    if not consumers:
        return 6 + bonus
    if all(depends[consumer] > depends[name] for consumer in consumers):
        return 8 + bonus
    # Clients want the result of Softmax and the like even if the loss is computed from the logits next to it.
    return bonus if bonus >= 4 else 0


def _first_output(graph: tf.Graph, name: str) -> tf.Tensor:
    return graph.get_operation_by_name(name).outputs[0]


def _candidate(tensor: tf.Tensor, depends: Iterable[str] = ()) -> Candidate:
    shape = "any" if tensor.shape.rank is None else f"({', '.join('?' if d is None else str(d) for d in tensor.shape)})"
    return Candidate(tensor.name, tensor.op.type, tensor.dtype.name, shape, frozenset(depends), bind_option(tensor))


def require_inputs_and_outputs(
    graph: tf.Graph, selection: TensorSelection, path: Path | None, out: Path | None
) -> None:
    """Raises SpecError with the candidates and a command line to copy, if `selection` lacks inputs or outputs.

    The command is `tfx-export session`, or `tfx-export init session` without `out`.
    """
    if selection.inputs and selection.outputs:
        return
    found = find_candidates(graph)
    lines = ["Inputs:", *_rows(found.inputs), "Outputs, likeliest first:", *_rows(found.outputs)]
    if found.switches:
        lines += ["Switches for training, to be fixed with --bind:", *_rows(found.switches)]
    missing = " and ".join(
        kind for kind, given in (("inputs", selection.inputs), ("outputs", selection.outputs)) if not given
    )
    hint = "\n".join([*lines, "", _command(found, path, out)])
    raise SpecError(f"The graph does not say which tensors are its {missing}.", hint=hint)


def _rows(candidates: Sequence[Candidate]) -> list[str]:
    width = max((len(one.tensor) for one in candidates), default=0)
    return [f"  {one.tensor:<{width}}  {one.dtype} {one.shape}" for one in candidates] or ["  (none found)"]


def _command(found: Candidates, path: Path | None, out: Path | None) -> str:
    words = ["tfx-export", *([] if out else ["init"]), "session", quoted(path) if path else "PATH"]
    words += ["--out", quoted(out)] if out else []
    likeliest = found.detections or found.outputs[:1]
    needed = {name for one in likeliest for name in one.depends}
    words += [f"--input {one.alias}={one.tensor}" for one in found.inputs if one.tensor in needed or not likeliest]
    words += [f"--output {one.alias}={one.tensor}" for one in likeliest]
    words += [one.bind for one in found.switches]
    return "For example: " + " ".join(words)
