"""Builds the graph that runs requests: variables frozen to constants, functions inlined, optimised once.

Runs in the child process only: grappler may abort the process or take any amount of memory. Large weights do not become
constants: they stay variables, which `mapping` writes to files.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import convert_to_constants, op_def_registry
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.saved_model import loader_impl

from serve.engines.tensorflow_guards import called

# A model with at most this many bytes of weights keeps them all as constants.
SMALL_MODEL_BYTES = 32 << 20
# Smaller weights stay constants in every model.
MIN_MAPPED_BYTES = 64 << 10
# In larger models, filters of convolutions up to this many bytes in total stay constants: oneDNN reorders a constant
# filter once, and any other at every run.
MAX_CONSTANT_BYTES = 128 << 20
# To optimise a graph, grappler needs up to 20 times the bytes of its constants.
OPTIMISER_MEMORY_FACTOR = 20
# Grappler allocates an input of every shape that is declared. Dimensions of larger ones are hidden from it.
MAX_DECLARED_ELEMENTS = 1 << 20

VARIABLES = frozenset({"VarHandleOp", "Variable", "VariableV2"})
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


@dataclass(frozen=True)
class Frozen:
    """A graph that has been optimised. `reason` says why it was not frozen; it is empty if it was.

    `variables` are the names of the variables that are left in a frozen graph. `kept` are the nodes that requests feed
    and fetch, and the operators that initialise tables.
    """

    graph_def: Any
    init_ops: tuple[str, ...]
    kept: frozenset[str]
    variables: frozenset[str] = frozenset()
    reason: str = ""


def freeze(session: Any, meta_graph: Any, path: Path, session_config: Any, max_bytes: int) -> Frozen:
    """Freezes and optimises the graph that `session` has loaded from `path`, if its outputs stay the same.

    `max_bytes` is the memory this process may use.
    """
    init_ops = tuple(_init_ops(meta_graph))
    graph_def = session.graph.as_graph_def()
    nodes = {node.name: node for node in graph_def.node}
    fed, fetches = _fed_and_fetched(meta_graph, nodes.keys())
    kept = sorted(fed | fetches)
    feeds = _dtypes(session.graph, fed)
    used = _nodes_upstream(nodes, [*kept, *init_ops])
    reason = _why_not_frozen(graph_def, kept, init_ops)
    frozen, mapped = None, frozenset[str]()
    if reason is None:
        mapped = frozenset(_variables_to_map(used, max_bytes // OPTIMISER_MEMORY_FACTOR))
        try:
            frozen = convert_to_constants.convert_variables_to_constants_from_session_graph(
                session, graph_def, [*kept, *init_ops], variable_names_denylist=mapped
            )
        except (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError) as error:
            reason = f"{type(error).__name__}: {error}"
    if frozen is None:
        optimised = _optimise(graph_def, feeds, fetches, init_ops, session_config)
        return Frozen(optimised, init_ops, frozenset(kept), reason=reason or "unknown")
    _place_assets(frozen, path, meta_graph)
    left = _use_resources(frozen, mapped)
    optimised = _optimise(frozen, feeds, fetches, init_ops, session_config)
    return Frozen(optimised, init_ops, frozenset(kept), left)


def element_bytes(dtype: int) -> int:
    """The bytes of one element; 0 for strings, resources and the like, which cannot be mapped."""
    try:
        return 0 if dtype in _NOT_MAPPED else int(tf.as_dtype(dtype).size)
    except TypeError:
        return 0


_NOT_MAPPED = frozenset(kind.as_datatype_enum for kind in (tf.string, tf.resource, tf.variant))


def _init_ops(meta_graph: Any) -> Iterator[str]:
    for key in ("saved_model_main_op", "legacy_init_op"):
        if key in meta_graph.collection_def:
            yield from (node.partition(":")[0] for node in meta_graph.collection_def[key].node_list.value)
            return


def _fed_and_fetched(meta_graph: Any, nodes: Collection[str]) -> tuple[set[str], set[str]]:
    """The nodes that signatures feed, and those they fetch. A fed node need not be upstream of an output.

    Sparse and composite tensors are left out, because requests cannot hold them.
    """

    def named(infos: Iterable[Any]) -> set[str]:
        return {info.name.partition(":")[0] for info in infos if info.name} & set(nodes)

    signatures = meta_graph.signature_def.values()
    feeds = named(info for signature in signatures for info in signature.inputs.values())
    return feeds, named(info for signature in signatures for info in signature.outputs.values())


def _dtypes(graph: Any, names: Iterable[str]) -> dict[str, int]:
    """The dtypes of the first outputs of nodes. A node without outputs cannot be fed."""
    outputs = {name: graph.get_operation_by_name(name).outputs for name in names}
    return {name: found[0].dtype.base_dtype.as_datatype_enum for name, found in outputs.items() if found}


def _why_not_frozen(graph_def: Any, roots: Iterable[str], init_ops: Iterable[str]) -> str | None:
    functions = {function.signature.name: function.node_def for function in graph_def.library.function}
    for op in _ops_upstream(graph_def, functions, roots):
        if _writes(op) and not HARMLESS.fullmatch(op):
            return f"a signature uses {op}"
    for op in _ops_upstream(graph_def, functions, init_ops):
        if _writes(op) and not HARMLESS.fullmatch(op) and not TABLE_FILL.fullmatch(op):
            return f"its initialisation uses {op}"
    return None


def replace_inputs(graph_def: Any, instead: Mapping[str, str]) -> None:
    """Makes the nodes that read the output of one node read that of another."""
    for node in graph_def.node:
        for position, source in enumerate(node.input):
            if source in instead:
                node.input[position] = instead[source]


def _variable_bytes(node: Any) -> int:
    """The bytes of a variable; 0 if its shape is not known, or its elements have no size."""
    shape = node.attr["shape"].shape
    if shape.unknown_rank or any(dim.size < 0 for dim in shape.dim):
        return 0
    return prod(int(dim.size) for dim in shape.dim) * element_bytes(node.attr["dtype"].type)


def _variables_to_map(nodes: Iterable[Any], max_constant_bytes: int) -> set[str]:
    """The variables that stay variables, by name: matrices of large models, and what exceeds the budget of constants.

    Tensors of more dimensions may be filters of convolutions; of those that turn out not to be, `mapping` takes care.
    """
    sizes, ranks = {}, {}
    for node in nodes:
        if node.op in VARIABLES and (size := _variable_bytes(node)) >= MIN_MAPPED_BYTES:
            sizes[node.name], ranks[node.name] = size, len(node.attr["shape"].shape.dim)
    total = sum(sizes.values())
    if total <= min(SMALL_MODEL_BYTES, max_constant_bytes):
        return set()
    mapped = {name for name, rank in ranks.items() if rank <= 2}
    constant = total - sum(sizes[name] for name in mapped)
    for name in sorted(sizes.keys() - mapped, key=sizes.__getitem__, reverse=True):
        if constant <= min(MAX_CONSTANT_BYTES, max_constant_bytes):
            break
        mapped.add(name)
        constant -= sizes[name]
    return mapped


def _use_resources(graph_def: Any, mapped: Collection[str]) -> frozenset[str]:
    """Makes resource variables of the TensorFlow 1 variables among `mapped`. Returns the names of all that are left."""
    for node in [node for node in graph_def.node if node.name in mapped and node.op in ("Variable", "VariableV2")]:
        handle = graph_def.node.add(name=f"{node.name}/handle", op="VarHandleOp")
        handle.attr["dtype"].CopyFrom(node.attr["dtype"])
        handle.attr["shape"].CopyFrom(node.attr["shape"])
        dtype = node.attr["dtype"].type
        node.op = "ReadVariableOp"
        node.attr.clear()
        node.attr["dtype"].type = dtype
        node.input.append(handle.name)
    # Several operators may name one variable.
    first: dict[tuple[bytes, bytes], str] = {}
    instead = {}
    for node in graph_def.node:
        if node.op == "VarHandleOp":
            variable = node.attr["container"].s, node.attr["shared_name"].s or node.name.encode()
            instead[node.name] = first.setdefault(variable, node.name)
            node.attr["container"].s = b""
            node.attr["shared_name"].s = node.name.encode()
            node.attr.pop("_class", None)
    replace_inputs(graph_def, instead)
    return frozenset(first.values())


def _writes(op: str) -> bool:
    """Whether `op` may have state or change a variable. Unknown operators count as such."""
    definition = op_def_registry.get(op)
    return definition is None or definition.is_stateful or any(arg.is_ref for arg in definition.input_arg)


def _ops_upstream(graph_def: Any, functions: dict[str, Any], roots: Iterable[str]) -> set[str]:
    """Every operator that `roots` depend on, including those in the bodies of functions."""
    nodes = {node.name: node for node in graph_def.node}
    used = _nodes_upstream(nodes, roots)
    ops: set[str] = set()
    seen_functions: set[str] = set()
    while used:
        node = used.pop()
        ops.add(node.op)
        for function in (called(node) & functions.keys()) - seen_functions:
            seen_functions.add(function)
            used += functions[function]
    return ops - functions.keys()


def _nodes_upstream(nodes: Mapping[str, Any], roots: Iterable[str]) -> list[Any]:
    """The nodes of the main graph that `roots` depend on."""
    pending = [*roots]
    seen: set[str] = set(pending)
    found = []
    while pending:
        node = nodes.get(pending.pop())
        if node is None:
            continue
        found.append(node)
        sources = {source.removeprefix("^").partition(":")[0] for source in node.input} - seen
        seen |= sources
        pending += sources
    return found


def _place_assets(graph_def: Any, path: Path, meta_graph: Any) -> None:
    """Replaces the file names of assets in the graph by their full paths."""
    assets = loader_impl.get_asset_tensors(str(path), meta_graph)
    by_node = {tensor.partition(":")[0]: file for tensor, file in assets.items()}
    for node in graph_def.node:
        if node.name in by_node:
            value = node.attr["value"].tensor
            value.ClearField("tensor_content")
            value.string_val[:] = [tf.compat.as_bytes(by_node[node.name])]


def _optimise(
    graph_def: Any, feeds: Mapping[str, int], fetches: set[str], init_ops: Iterable[str], session_config: Any
) -> Any:
    """Runs grappler with a signature made for it: it fails on sparse tensors and on outputs that are inputs.

    `feeds` are the fed nodes and their dtypes.
    """
    fetched = [*fetches - feeds.keys(), *init_ops]
    if not fetched:
        return graph_def
    item = tf.compat.v1.MetaGraphDef()
    item.graph_def.CopyFrom(graph_def)
    item.meta_info_def.tags.append("serve")
    for node in item.graph_def.node:
        if node.op in ("Placeholder", "PlaceholderWithDefault", "PlaceholderV2"):
            _hide_large_dimensions(node.attr["shape"].shape)
            node.attr.pop("_output_shapes", None)
        if node.name in feeds:
            info = item.signature_def["serving_default"].inputs[node.name]
            info.name, info.dtype = f"{node.name}:0", feeds[node.name]
            info.tensor_shape.unknown_rank = True
    item.collection_def["train_op"].node_list.value.extend(fetched)
    optimised = tf_optimizer.OptimizeGraph(session_config, item)
    for node in optimised.node:
        # oneDNN's rewriting of the graph reads the shapes that grappler notes, and aborts if a rank is unknown.
        if "_input_shapes" in node.attr and any(s.unknown_rank for s in node.attr["_input_shapes"].list.shape):
            del node.attr["_input_shapes"]
    return optimised


def _hide_large_dimensions(shape: Any) -> None:
    """Declares the known dimensions of a large shape as unknown, which is true of every shape."""
    if shape.unknown_rank or prod(max(1, dim.size) for dim in shape.dim) <= MAX_DECLARED_ELEMENTS:
        return
    for dim in shape.dim:
        dim.size = -1
