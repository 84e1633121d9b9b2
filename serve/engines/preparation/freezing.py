"""Builds the graph that runs requests: variables frozen to constants, functions inlined, optimised once.

Runs in the child process only: grappler may abort the process or take any amount of memory. Large weights do not become
constants: they stay variables, which `mapping` writes to files.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants, op_def_registry
from tensorflow.python.ops import gen_state_ops
from tensorflow.python.saved_model import loader_impl

from serve.engines.preparation.nodes import nodes_upstream, replace_inputs
from serve.engines.preparation.optimising import optimise
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
VARIABLES = frozenset({"VarHandleOp", "Variable", "VariableV2"})
# Stateful operators that have no variable or only read one. Any other stateful operator prevents freezing.
HARMLESS = re.compile(
    """
    Assert | HashTable(V2)? | LookupTable(Find|Size)(V2)? | Placeholder(WithDefault)? | Print(V2)?
    | ReadVariableOp | ResourceGather(Nd)? | VarHandleOp | Variable(V2)?
    | (Stateful)?PartitionedCall | (Stateless)?(If|While|Case)
    | (Parameterized)?TruncatedNormal | Random\\w+ | Multinomial | SampleDistortedBoundingBox(V2)?
    | TensorArray\\w*V3 | Stack\\w*V2
    | \\w+CandidateSampler | NonDeterministicInts | StatelessRandomGetAlg | DeviceIndex
    | CheckNumerics(V2)? | Empty | GuaranteeConst | LookupTableExport(V2)?
    """,
    re.VERBOSE,
)
# A variable of TensorFlow 1 becomes a resource variable of this name.
_HANDLE = "/handle"
_ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})
# The signature of TensorFlow 2 that names the operator that initialises the model.
_INIT_SIGNATURE = "__saved_model_init_op"
# Operators that fill tables when a model is loaded; the frozen graph runs them again.
TABLE_FILL = re.compile(r"(LookupTableImport|InitializeTable\w*)(V2)?")


@dataclass(frozen=True)
class Frozen:
    """A graph that has been optimised. `reason` says why it was not frozen; it is empty if it was.

    `variables` are the names of the variables that are left in a frozen graph. `kept` are the nodes that requests feed
    and fetch, `fed` only those that they feed.
    """

    graph_def: Any
    init_ops: tuple[str, ...]
    kept: frozenset[str]
    fed: frozenset[str]
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
    _drop_assignments(nodes, kept, init_ops)
    used = nodes_upstream(nodes, [*kept, *init_ops])
    reason = why_not_frozen(graph_def, kept, init_ops)
    frozen, mapped, without_value = None, frozenset[str](), frozenset[str]()
    if reason is None:
        mapped = frozenset(_variables_to_map(used, max_bytes // OPTIMISER_MEMORY_FACTOR))
        try:
            frozen, without_value = _convert(session, graph_def, used, [*kept, *init_ops], mapped)
        except (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError) as error:
            reason = f"{type(error).__name__}: {error}"
    if frozen is None:
        optimised = optimise(graph_def, feeds, fetches, init_ops, session_config)
        return Frozen(optimised, init_ops, frozenset(kept), frozenset(feeds), reason=reason or "unknown")
    _place_assets(frozen, path, meta_graph)
    left = _use_resources(frozen, mapped | without_value) - {
        f"{name}{end}" for name in without_value for end in ("", _HANDLE)
    }
    optimised = optimise(frozen, feeds, fetches, init_ops, session_config)
    return Frozen(optimised, init_ops, frozenset(kept), frozenset(feeds), left)


def _convert(
    session: Any, graph_def: Any, used: Collection[Any], roots: list[str], mapped: frozenset[str]
) -> tuple[Any, frozenset[str]]:
    """Makes constants of variables, except `mapped` and those without a value. Returns the latter too.

    `used` are the nodes of the main graph that `roots` need.
    """
    without_value = frozenset[str]()
    for node in used:
        # The conversion expects an operator of this name.
        name = f"{node.name}/Read/ReadVariableOp"
        if node.op == "VarHandleOp" and not _has(session.graph, name):
            with session.graph.as_default(), tf.device(None):
                handle = session.graph.get_tensor_by_name(f"{node.name}:0")
                tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.as_dtype(node.attr["dtype"].type), name=name)
    convert = partial(
        convert_to_constants.convert_variables_to_constants_from_session_graph, _Arrays(session), graph_def, roots
    )
    try:
        return convert(variable_names_denylist=mapped), without_value
    except tf.errors.FailedPreconditionError:
        # A request that reads such a variable gets this error; others do not need it.
        without_value = _without_value(session, used)
        return convert(variable_names_denylist=mapped | without_value), without_value


class _Arrays:
    """A session that returns arrays, also for a string without dimensions: the conversion expects them."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, fetches: Any) -> list[Any]:
        return [np.array(value, np.object_) if type(value) is bytes else value for value in self._session.run(fetches)]


def _without_value(session: Any, nodes: Iterable[Any]) -> frozenset[str]:
    """The variables among `nodes` that were not initialised, by name."""
    found = {}
    with session.graph.as_default(), tf.device(None):
        for node in nodes:
            if node.op in VARIABLES:
                tensor = session.graph.get_tensor_by_name(f"{node.name}:0")
                is_resource = node.op == "VarHandleOp"
                found[node.name] = (
                    tf.raw_ops.VarIsInitializedOp(resource=tensor)
                    if is_resource
                    else gen_state_ops.is_variable_initialized(tensor)
                )
    return frozenset(name for name, initialised in session.run(found).items() if not initialised)


def _has(graph: Any, operation: str) -> bool:
    try:
        graph.get_operation_by_name(operation)
    except KeyError:
        return False
    return True


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

    # The operator that initialises the model is not an output.
    signatures = [signature for name, signature in meta_graph.signature_def.items() if name != _INIT_SIGNATURE]
    feeds = named(info for signature in signatures for info in signature.inputs.values())
    return feeds, named(info for signature in signatures for info in signature.outputs.values())


def _dtypes(graph: Any, names: Iterable[str]) -> dict[str, int]:
    """The dtypes of the first outputs of nodes. A node without outputs cannot be fed."""
    outputs = {name: graph.get_operation_by_name(name).outputs for name in names}
    return {name: found[0].dtype.base_dtype.as_datatype_enum for name, found in outputs.items() if found}


def _drop_assignments(nodes: Mapping[str, Any], kept: Iterable[str], init_ops: Iterable[str]) -> None:
    """Makes a NoOp of each operator of the initialisation that assigns a value to a variable, such as an asset's path.

    The variables that are frozen have these values already. A variable that signatures change is not frozen.
    """
    requested = {node.name for node in nodes_upstream(nodes, kept)}
    read = {source for node in nodes.values() for source in node.input}
    for node in nodes_upstream(nodes, init_ops):
        if node.op in _ASSIGNMENTS and node.name not in requested and not {node.name, f"{node.name}:0"} & read:
            node.op = "NoOp"
            controls = [source for source in node.input if source.startswith("^")]
            del node.input[:]
            node.input.extend(controls)
            node.attr.clear()


def why_not_frozen(graph_def: Any, roots: Iterable[str], init_ops: Iterable[str]) -> str | None:
    """Which operator with side effects `roots` or `init_ops` depend on, in words; None if there is none."""
    functions = {function.signature.name: function.node_def for function in graph_def.library.function}
    for op in _ops_upstream(graph_def, functions, roots):
        if _writes(op) and not HARMLESS.fullmatch(op):
            return f"a signature uses {op}"
    for op in _ops_upstream(graph_def, functions, init_ops):
        if _writes(op) and not HARMLESS.fullmatch(op) and not TABLE_FILL.fullmatch(op):
            return f"its initialisation uses {op}"
    return None


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
        handle = graph_def.node.add(name=f"{node.name}{_HANDLE}", op="VarHandleOp")
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
    used = nodes_upstream(nodes, roots)
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
    """Replaces the file names of assets in the graph by their full paths."""
    assets = loader_impl.get_asset_tensors(str(path), meta_graph)
    by_node = {tensor.partition(":")[0]: file for tensor, file in assets.items()}
    for node in graph_def.node:
        if node.name in by_node:
            value = node.attr["value"].tensor
            value.ClearField("tensor_content")
            value.string_val[:] = [tf.compat.as_bytes(by_node[node.name])]
