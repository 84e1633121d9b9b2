"""Builds the graph that runs requests: variables frozen to constants, functions inlined, optimised once."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import convert_to_constants, op_def_registry
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.saved_model import loader_impl

from serve.engines.free_memory import free_bytes
from serve.engines.tensorflow_guards import called

logger = logging.getLogger("serve")

# A GraphDef is one protobuf message, at most 2 GB.
MAX_FROZEN_BYTES = 1_500_000_000
# To optimise a frozen graph, grappler needs up to 20 times the bytes of the variables.
OPTIMISER_MEMORY_FACTOR = 20

# Constants up to this many bytes may determine shapes; larger ones are weights.
MAX_SHAPE_CONSTANT = 1024

# Stateful operators that have no variable or only read one. Any other stateful operator prevents freezing.
HARMLESS = re.compile(
    """
    Assert | HashTable(V2)? | LookupTable(Find|Size)(V2)? | Placeholder(WithDefault)? | Print(V2)?
    | ReadVariableOp | ResourceGather(Nd)? | VarHandleOp | Variable(V2)?
    | (Stateful)?PartitionedCall | (Stateless)?(If|While|Case)
    | (Parameterized)?TruncatedNormal | Random\\w+ | Multinomial | SampleDistortedBoundingBox(V2)?
    | TensorArray\\w*V3 | Stack\\w*V2
    """,
    re.VERBOSE,
)
# Operators that fill tables when a model is loaded; the frozen graph runs them again.
TABLE_FILL = re.compile(r"(LookupTableImport|InitializeTable\w*)(V2)?")
# Operators of control flow (Node::IsControlFlow).
CONTROL_FLOW = re.compile("(Ref)?(Switch|Merge|Enter|Exit|NextIteration)|_SwitchN")


@dataclass(frozen=True)
class Program:
    """The graph to run. `graph_def` is None if the loaded graph runs as it is: it assigns variables, or is too large.

    `shape_graph` is the inlined graph without weights, for shape inference.
    """

    graph_def: Any | None
    init_ops: tuple[str, ...]
    shape_graph: Any


def optimised_program(session: Any, meta_graph: Any, path: Path, session_config: Any) -> Program:
    """Freeze and optimise the graph that `session` has loaded from `path`, if its outputs stay the same."""
    init_ops = tuple(_init_ops(meta_graph))
    graph_def = session.graph.as_graph_def()
    roots = _fetched_nodes(meta_graph)
    reason = _why_not_frozen(graph_def, roots, init_ops, path)
    frozen = None
    if reason is None:
        try:
            frozen = convert_to_constants.convert_variables_to_constants_from_session_graph(
                session, graph_def, [*roots, *init_ops]
            )
        except (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError) as error:
            reason = str(error)
    if frozen is None:
        logger.info("%s runs as it is, not frozen: %s", path.name, reason)
        return Program(None, init_ops, _shape_graph(_optimise(graph_def, meta_graph, init_ops, session_config)))
    _place_assets(frozen, path, meta_graph)
    optimised = _optimise(frozen, meta_graph, init_ops, session_config)
    return Program(optimised, init_ops, _shape_graph(optimised))


def is_straight(graph_def: Any) -> bool:
    """Whether the graph has no control flow, function calls or references, so that operators can run in sequence."""
    functions = {function.signature.name for function in graph_def.library.function}
    return not any(
        CONTROL_FLOW.fullmatch(node.op) or _returns_reference(node.op) or called(node) & functions
        for node in graph_def.node
    )


def _returns_reference(op: str) -> bool:
    definition = op_def_registry.get(op)
    return definition is None or any(arg.is_ref for arg in definition.output_arg)


def _init_ops(meta_graph: Any) -> Iterator[str]:
    for key in ("saved_model_main_op", "legacy_init_op"):
        if key in meta_graph.collection_def:
            yield from (node.partition(":")[0] for node in meta_graph.collection_def[key].node_list.value)
            return


def _fetched_nodes(meta_graph: Any) -> list[str]:
    """The nodes that signatures feed and fetch (a fed node need not be upstream of an output)."""
    tensors = {
        info.name.partition(":")[0]
        for signature in meta_graph.signature_def.values()
        for info in [*signature.outputs.values(), *signature.inputs.values()]
        if info.name
    }
    return sorted(tensors)


def _why_not_frozen(graph_def: Any, roots: Iterable[str], init_ops: Iterable[str], path: Path) -> str | None:
    variables = sum(file.stat().st_size for file in path.glob("variables/*"))
    if variables > MAX_FROZEN_BYTES:
        return f"its variables take {variables} bytes"
    if OPTIMISER_MEMORY_FACTOR * variables > (free := free_bytes()):
        return f"that may take {OPTIMISER_MEMORY_FACTOR * variables} bytes of memory, and {free} are free"
    functions = {function.signature.name: function.node_def for function in graph_def.library.function}
    for op in _ops_upstream(graph_def, functions, roots):
        if _writes(op) and not HARMLESS.fullmatch(op):
            return f"a signature uses {op}"
    for op in _ops_upstream(graph_def, functions, init_ops):
        if _writes(op) and not HARMLESS.fullmatch(op) and not TABLE_FILL.fullmatch(op):
            return f"its initialisation uses {op}"
    return None


def _writes(op: str) -> bool:
    """Whether `op` may have state or change a variable. Unknown operators count as such."""
    definition = op_def_registry.get(op)
    return definition is None or definition.is_stateful or any(arg.is_ref for arg in definition.input_arg)


def _ops_upstream(graph_def: Any, functions: dict[str, Any], roots: Iterable[str]) -> set[str]:
    """Every operator that `roots` depend on, including those in the bodies of functions."""
    nodes = {node.name: node for node in graph_def.node}
    pending = [*roots]
    seen: set[str] = set(pending)
    used = []
    while pending:
        node = nodes.get(pending.pop())
        if node is None:
            continue
        used.append(node)
        sources = {source.removeprefix("^").partition(":")[0] for source in node.input} - seen
        seen |= sources
        pending += sources
    ops: set[str] = set()
    seen_functions: set[str] = set()
    while used:
        node = used.pop()
        ops.add(node.op)
        for function in (called(node) & functions.keys()) - seen_functions:
            seen_functions.add(function)
            used += functions[function]
    return ops - functions.keys()


def _place_assets(graph_def: Any, path: Path, meta_graph: Any) -> None:
    """Replace the file names of assets in the graph by their full paths."""
    assets = loader_impl.get_asset_tensors(str(path), meta_graph)
    by_node = {tensor.partition(":")[0]: file for tensor, file in assets.items()}
    for node in graph_def.node:
        if node.name in by_node:
            value = node.attr["value"].tensor
            value.ClearField("tensor_content")
            value.string_val[:] = [tf.compat.as_bytes(by_node[node.name])]


def _optimise(graph_def: Any, meta_graph: Any, init_ops: Iterable[str], session_config: Any) -> Any:
    item = tf.compat.v1.MetaGraphDef()
    item.graph_def.CopyFrom(graph_def)
    item.meta_info_def.tags.append("serve")
    for name, signature in meta_graph.signature_def.items():
        item.signature_def[name].CopyFrom(signature)
    item.collection_def["train_op"].node_list.value.extend(init_ops)
    return tf_optimizer.OptimizeGraph(session_config, item)


def _shape_graph(graph_def: Any) -> Any:
    """Return `graph_def` with placeholders of the same shape in place of its weights."""
    shape_graph = tf.compat.v1.GraphDef()
    shape_graph.versions.CopyFrom(graph_def.versions)
    shape_graph.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is None or tensor.ByteSize() <= MAX_SHAPE_CONSTANT:
            copied = shape_graph.node.add()
            copied.CopyFrom(node)
            # Shapes that were inferred from the declared ones would contradict any other.
            for inferred in ("_output_shapes", "_input_shapes"):
                copied.attr.pop(inferred, None)
            continue
        placeholder = shape_graph.node.add(name=node.name, op="Placeholder")
        placeholder.attr["dtype"].CopyFrom(node.attr["dtype"])
        placeholder.attr["shape"].shape.CopyFrom(tensor.tensor_shape)
    return shape_graph
