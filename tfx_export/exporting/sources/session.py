"""Opens a TF1 graph with its values as a source: a live session, a checkpoint with its .meta file, a frozen graph.

Only the part of the graph that the outputs depend on is kept. Variables are created anew with their values, tables
with their content or with the vocabulary file that fills them. Nothing remains of training and of the old save and
restore ops.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType

import tensorflow as tf

from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.source_graph import (
    VARIABLES,
    Arrays,
    GraphInput,
    KeptVariables,
    SourceGraph,
    is_seed,
    new_session,
    remove_devices,
)
from tfx_export.exporting.sources.graph_nodes import Nodes, canonical, node_of, subgraph
from tfx_export.exporting.sources.session_file import SessionFile
from tfx_export.exporting.sources.switches import bind_option
from tfx_export.exporting.sources.tables import TABLE_FILLERS, copy_tables, plan_tables
from tfx_export.exporting.sources.variables import (
    as_default_for_reading,
    copy_variables,
    unassigned,
    variables_of,
)
from tfx_export.exporting.tensorflow_errors import missing_op_hint, short_reason
from tfx_export.savedmodel.graph_effects import find_effects

# State that exists in a session only; a SavedModel cannot hold it.
_SESSION_ONLY = {
    "FIFOQueue", "FIFOQueueV2", "Iterator", "IteratorV2", "OneShotIterator", "PaddingFIFOQueueV2",
    "RandomShuffleQueueV2", "TensorArrayV3",
}  # fmt: skip

# Ops that take a batch out of a queue or iterator.
PIPELINE_OPS = {
    "IteratorGetNext", "IteratorGetNextSync", "QueueDequeue", "QueueDequeueMany", "QueueDequeueManyV2",
    "QueueDequeueUpTo", "QueueDequeueUpToV2", "QueueDequeueV2",
}  # fmt: skip


@dataclass(frozen=True)
class TensorSelection:
    """Tensors (`x:0`) of a TF1 graph: inputs and outputs by the client's names, and those bound to a value."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    bind: Mapping[str, object] = field(default_factory=dict)


def load(file: SessionFile, *, clear_devices: bool = True) -> tf.compat.v1.Session:
    """Loads `file` into a new session. Raises SourceError if TensorFlow cannot load it.

    `clear_devices` removes the devices of the ops, which may exist on the training machine only.
    """
    graph = tf.Graph()
    with graph.as_default():
        try:
            if file.checkpoint is None:
                tf.graph_util.import_graph_def(file.graph_def(tf.compat.v1.GraphDef), name="")
                session = new_session(graph)
                # A frozen graph has no collection of table initializers, so every op that fills a table runs.
                session.run([operation for operation in graph.get_operations() if operation.type in TABLE_FILLERS])
                return session
            saver = tf.compat.v1.train.import_meta_graph(str(file.path), clear_devices=clear_devices)
            session = new_session(graph)
            # The saver is None if the graph has no variables.
            if saver is not None:
                saver.restore(session, str(file.checkpoint))
            session.run(tf.compat.v1.tables_initializer())
        except (tf.errors.OpError, ValueError, KeyError) as error:
            reason = short_reason(error)
            raise SourceError(f"TensorFlow cannot load {file.path}: {reason}", hint=_load_hint(reason)) from error
    return session


def open_session(
    session: tf.compat.v1.Session,
    selection: TensorSelection,
    *,
    init_ops: Sequence[str] = (),
    assets: Mapping[str, str] = MappingProxyType({}),
    clear_devices: bool = True,
    description: str = "TensorFlow session",
) -> SourceGraph:
    """Opens a live `tf.compat.v1.Session`, which is not changed.

    `init_ops` are ops that fill lookup tables, besides those in the graph's collections. `assets` maps tensors of the
    graph to the files that they name, where their values are not the present paths. `clear_devices` is as for `load`.
    Raises SpecError if a tensor does not exist, or if the outputs cannot be computed from the inputs.
    """
    graph = session.graph
    graph_def = read_graph_def(graph, clear_devices)
    nodes = Nodes(graph_def)
    bound = bound_tensors(graph, selection)
    part = select_part(graph, nodes, selection, bound)
    (opened,) = open_parts(session, graph_def, nodes, [part], bound, init_ops, assets, description)
    return opened


@dataclass(frozen=True)
class GraphPart:
    """A part of a TF1 graph: tensors by name, and the nodes that the outputs need (`needed`)."""

    inputs: Mapping[str, tf.Tensor]
    outputs: Mapping[str, tf.Tensor]
    needed: set[str]

    def unused_inputs(self, nodes: Nodes) -> list[str]:
        """Returns the names of the inputs that no output depends on. `nodes` are those of the graph."""
        read = nodes.read_by(self.needed) | {tensor.name for tensor in self.outputs.values()}
        return sorted(name for name, tensor in self.inputs.items() if tensor.name not in read)


def bound_tensors(graph: tf.Graph, selection: TensorSelection) -> dict[tf.Tensor, object]:
    """Returns the tensors that `selection` sets to a constant, with their values. Raises SpecError for unknown ones."""
    return {_tensor(graph, tensor, "bound tensor", tensor): value for tensor, value in selection.bind.items()}


def select_part(
    graph: tf.Graph, nodes: Nodes, selection: TensorSelection, bound: Mapping[tf.Tensor, object]
) -> GraphPart:
    """Returns the part of `graph` between the tensors of `selection`.

    Raises SpecError if a tensor does not exist, or if the outputs cannot be computed from the inputs.
    """
    inputs = {name: _tensor(graph, tensor, "input", name) for name, tensor in selection.inputs.items()}
    outputs = {name: _tensor(graph, tensor, "output", name) for name, tensor in selection.outputs.items()}
    tensors = [*inputs.values(), *bound]
    # A session that is fed one output of an op still computes the other outputs of that op.
    whole = {tensor.name for tensor in tensors if not _of_several(tensor)}
    separate = {tensor.name for tensor in tensors if _of_several(tensor)}
    targets = {tensor.name for tensor in outputs.values()} - separate
    needed = nodes.dependencies(map(node_of, targets), stop=set(map(node_of, whole)), fed=separate)
    _check_part(graph, nodes, needed, whole)
    return GraphPart(inputs, outputs, needed)


def open_parts(
    session: tf.compat.v1.Session,
    graph_def: tf.compat.v1.GraphDef,
    nodes: Nodes,
    parts: Sequence[GraphPart],
    bound: Mapping[tf.Tensor, object],
    init_ops: Sequence[str],
    assets: Mapping[str, str],
    description: str,
) -> list[SourceGraph]:
    """Opens parts of one graph, with the tensors `bound` set to constants. They share one new session and its state.

    The other arguments are as for `open_session`.
    """
    graph = session.graph
    needed = {name for part in parts for name in part.needed}
    tables = plan_tables(graph, graph_def, nodes, needed, init_ops)
    names = variables_of(nodes, needed) | unassigned(nodes, tables.nodes)
    variables = [graph.get_operation_by_name(name) for name in sorted(names)]
    new = new_session(tf.Graph())
    state = copy_variables(session, variables, new)
    state.update(copy_tables(session, graph_def, nodes, tables, state, new, assets))
    with new.graph.as_default():
        state.update({tensor.name: _constant(value, tensor) for tensor, value in bound.items()})
    note = f"{len(needed)} of {len(nodes.by_name)} graph nodes and {len(variables)} variables are needed."

    def open_part(part: GraphPart) -> SourceGraph:
        tensors = [one for one in [*part.inputs.values(), *bound] if not _of_several(one)]
        fed = {node_of(tensor.name): tensor.dtype.as_datatype_enum for tensor in tensors}
        output_nodes = {node_of(tensor.name) for tensor in part.outputs.values()}
        partly_fed = {node_of(tensor.name) for tensor in bound if _of_several(tensor)}
        replaced = ({node_of(name) for name in state} - partly_fed) | set(fed)
        # An output that is also an input is passed through, so its node stays.
        body = subgraph(graph_def, part.needed - (replaced - output_nodes))
        _cut_inputs(body, fed)
        return SourceGraph(
            session=new,
            body=body,
            inputs={name: GraphInput(tensor.name, tensor.dtype, tensor.shape) for name, tensor in part.inputs.items()},
            outputs=part.outputs,
            state=state,
            reference=reference_of(session, part, bound, body),
            description=description,
            notes=(note,),
        )

    return [open_part(part) for part in parts]


def reference_of(
    session: tf.compat.v1.Session, part: GraphPart, bound: Mapping[tf.Tensor, object], body: tf.compat.v1.GraphDef
) -> Callable[[Arrays], Arrays]:
    """Returns a function that computes the outputs of `part` in the source's own session.

    `body` holds the nodes of the part; each run finds the variables that it assigns as they were before.
    """
    graph = session.graph
    effects = find_effects(body, [tensor.name for tensor in part.outputs.values()])
    assigned = [graph.get_operation_by_name(name) for name in sorted(part.needed & set(effects.assigned))]
    variables = [one for one in assigned if one.type in VARIABLES]
    with as_default_for_reading(graph):
        kept = KeptVariables(session, [one for one in variables if not is_seed(one, effects)])

    def reference(arrays: Arrays) -> Arrays:
        fed_inputs = {tensor: arrays[name] for name, tensor in part.inputs.items()}
        with kept.unchanged():
            results: Arrays = session.run(dict(part.outputs), feed_dict={**bound, **fed_inputs})
        return results

    return reference


def read_graph_def(graph: tf.Graph, clear_devices: bool) -> tf.compat.v1.GraphDef:
    graph_def = graph.as_graph_def()
    if clear_devices:  # before the tables are copied, because their initializers share functions with the body
        remove_devices(graph_def)
    return graph_def


def _of_several(tensor: tf.Tensor) -> bool:
    """Returns whether the op of `tensor` has other outputs too, which a server can compute."""
    return len(tensor.op.outputs) > 1 and tensor.op.type not in PIPELINE_OPS


def _cut_inputs(body: tf.compat.v1.GraphDef, fed: Mapping[str, int]) -> None:
    """Turns the nodes `fed` (with their dtypes) into placeholders, because `body` lacks the nodes they depended on."""
    for node in body.node:
        if node.name in fed and node.input:
            del node.input[:]
            node.op = "Placeholder"
            node.attr.clear()
            node.attr["dtype"].type = fed[node.name]


def _tensor(graph: tf.Graph, name: str, kind: str, alias: str) -> tf.Tensor:
    try:
        return graph.get_tensor_by_name(canonical(name))
    except (KeyError, ValueError):
        names = [operation.name for operation in graph.get_operations() if operation.outputs]
        near = get_close_matches(node_of(name), names, n=3, cutoff=0.5)
        hint = f"Similar names: {', '.join(f'{one}:0' for one in near)}" if near else ""
        raise SpecError(f"The graph has no tensor {canonical(name)!r} (for the {kind} {alias!r}).", hint=hint) from None


def _check_part(graph: tf.Graph, nodes: Nodes, needed: set[str], fed_tensors: set[str]) -> None:
    """Raises SpecError for graphs that fail in a server: a placeholder without a value, a queue."""
    fed = set(map(node_of, fed_tensors))
    unfed = {f"{name}:0" for name in needed - fed if nodes.by_name[name].op == "Placeholder"}
    # Other outputs of a node such as IteratorGetNext, of which one output is fed.
    read = {canonical(tensor) for name in needed - fed for tensor in nodes.by_name[name].input if tensor[0] != "^"}
    unfed |= {tensor for tensor in read if node_of(tensor) in fed} - fed_tensors
    if unfed:
        raise SpecError(
            f"The outputs also depend on {', '.join(sorted(unfed))}, which no input feeds.",
            hint="\n".join(_feeding(graph.get_tensor_by_name(name)) for name in sorted(unfed)),
        )
    lost = sorted(name for name in needed if nodes.by_name[name].op in _SESSION_ONLY)
    if lost:
        raise SpecError(
            f"The outputs need {lost[0]} ({nodes.by_name[lost[0]].op}), which belongs to a running input pipeline.",
            hint=_after_pipeline(graph, nodes, needed)
            or "Start after it: give the tensor that comes out of the queue or iterator as --input.",
        )


def _feeding(tensor: tf.Tensor) -> str:
    """Returns the options that give a placeholder its value."""
    alias = tensor.op.name.split("/")[-1]
    alias = alias if tensor.value_index == 0 else f"{alias}_{tensor.value_index}"
    as_input = f"--input {alias}={tensor.name}"
    if tensor.shape.rank not in (0, None):
        return f"Make it an input: {as_input}"
    return f"Make it an input ({as_input}) or fix its value ({bind_option(tensor)})."


def _after_pipeline(graph: tf.Graph, nodes: Nodes, needed: set[str]) -> str:
    """Returns the options that feed what comes out of the queues and iterators among the nodes `needed`."""
    found = [
        tensor for name in sorted(needed) if name in nodes.by_name for tensor in pipeline_outputs(graph, nodes, name)
    ]
    options = [f"--input {one.op.name.split('/')[-1]}_{one.value_index}={one.name}" for one in found]
    return f"Start after it: {' '.join(options)}" if options else ""


def pipeline_outputs(graph: tf.Graph, nodes: Nodes, name: str) -> list[tf.Tensor]:
    """Returns the tensors that a node takes out of a queue or iterator and that are read; none for other nodes."""
    if nodes.by_name[name].op not in PIPELINE_OPS:
        return []
    read = {canonical(tensor) for one in nodes.consumers[name] for tensor in nodes.by_name[one].input}
    tensors: list[tf.Tensor] = list(graph.get_operation_by_name(name).outputs)
    return [tensor for tensor in tensors if tensor.name in read]


def _constant(value: object, tensor: tf.Tensor) -> tf.Tensor:
    try:
        return tf.constant(value, tensor.dtype)
    except (TypeError, ValueError):
        raise SpecError(f"{value!r} does not fit {tensor.name}, which is {tensor.dtype.name} {tensor.shape}.") from None


def _load_hint(reason: str) -> str:
    if hint := missing_op_hint(reason):
        return hint
    if "No such file" in reason:
        return "A lookup table is filled from that file, which must be at the path in the graph."
    return "Are all files of the checkpoint there (.meta, .index, .data-*), and from the same step?"
