"""Moves large weights out of a frozen graph into files that servers map: one page-aligned file for each tensor.

Runs in the child process only. In the graph, a resource variable that is read takes the place of the constant.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from serve.engines.preparation.freezing import (
    MAX_CONSTANT_BYTES,
    MIN_MAPPED_BYTES,
    OPTIMISER_MEMORY_FACTOR,
    SMALL_MODEL_BYTES,
    Frozen,
    element_bytes,
)
from serve.engines.preparation.nodes import replace_inputs
from serve.engines.tensorflow_guards import RANKS
from serve.engines.tensorflow_weights import MappedWeight, initialise, without_optimiser

# A value that is computed from weights alone is computed now, if it takes at most this many times their bytes.
MAX_GROWTH = 2
# Variables are read in parts of this size.
PART_BYTES = 16 << 20
# Operators that pass their input on.
_PASS_ON = frozenset({"Identity", "ReadVariableOp"})
# Operators of which the input 1 is a filter, as far as they are listed in RANKS.
_CONVOLUTIONS = frozenset(op for op in RANKS if "Conv" in op)


@dataclass
class _Draft:
    """The graph being changed, and the weights that have been written."""

    graph_def: Any
    folder: Path
    weights: list[MappedWeight]

    def write(self, name: str, dtype: int, shape: tuple[int, ...], parts: Iterable[np.ndarray]) -> None:
        """Writes the value of the variable `name`, which comes in parts, to a file of its own."""
        file = f"{len(self.weights):05}.weights"
        with (self.folder / file).open("wb") as stream:
            for part in parts:
                # Not part.tofile: NumPy does not know all of TensorFlow's dtypes. The view makes no copy.
                stream.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        self.weights.append(MappedWeight(name, int(dtype), shape, file))

    def replace(self, node: Any, value: np.ndarray, dtype: int) -> None:
        """Makes `node` a read of a new variable of this value."""
        handle = self.graph_def.node.add(name=f"{node.name}/mapped", op="VarHandleOp")
        handle.attr["dtype"].type = dtype
        for size in value.shape:
            handle.attr["shape"].shape.dim.add(size=size)
        handle.attr["shared_name"].s = handle.name.encode()
        self.write(handle.name, dtype, value.shape, [value])
        del node.input[:]
        node.attr.clear()
        node.op = "ReadVariableOp"
        node.attr["dtype"].type = dtype
        node.input.append(handle.name)


def map_weights(session: Any, frozen: Frozen, folder: Path, max_bytes: int) -> tuple[Any, list[MappedWeight]]:
    """Writes the large weights of `frozen` to `folder`. Returns the graph that reads them, and their list.

    `session` has the SavedModel loaded. `max_bytes` is the memory this process may use.
    """
    draft = _Draft(frozen.graph_def, folder, [])
    _write_variables(session, draft, frozen.variables)
    _map_constants(draft, max_bytes // OPTIMISER_MEMORY_FACTOR, frozen)
    if draft.weights:
        _fold(draft, frozen)
        _drop_unused(draft, {*frozen.kept, *frozen.init_ops})
    return draft.graph_def, draft.weights


def _write_variables(session: Any, draft: _Draft, names: Collection[str]) -> None:
    """Writes the variables `names` to files.

    Small ones are read together, because each combination of fetches takes TensorFlow tens of milliseconds. Large ones
    are read in parts, because fetching all of it would take its memory a second time.
    """
    nodes = [node for node in draft.graph_def.node if node.op == "VarHandleOp" and node.name in names]
    # Every operator is added before the first run: the session takes in the whole graph again after a change.
    with session.graph.as_default(), tf.device(None):
        begin = tf.compat.v1.placeholder(tf.int64, [])
        values = [_variable(session.graph, node) for node in nodes]
        sizes = [(value.shape.num_elements() or PART_BYTES + 1) * value.dtype.size for value in values]
        fetches = [
            value if size <= PART_BYTES else _part(value, begin) for value, size in zip(values, sizes, strict=True)
        ]
        shapes = {number: tf.shape(values[number], tf.int64) for number, size in enumerate(sizes) if size > PART_BYTES}
    found = {number: tuple(shape.tolist()) for number, shape in session.run(shapes).items()}
    for batch in _batches(sizes):
        read = session.make_callable([fetches[number] for number in batch], [begin])
        for number, first in zip(batch, read(0), strict=True):
            node, shape = nodes[number], found.get(number, np.shape(first))
            rest = _rest(read, first.size) if number in found else ()
            draft.write(node.name, node.attr["dtype"].type, shape, chain([first], rest))


def _part(value: Any, begin: Any) -> Any:
    """The elements of a tensor from `begin` on, PART_BYTES of them."""
    return tf.reshape(value, [-1])[begin : begin + PART_BYTES // value.dtype.size]


def _variable(graph: Any, node: Any) -> Any:
    """The tensor in the `graph` of the SavedModel that holds the value of a variable of the frozen graph."""
    try:
        handle = graph.get_tensor_by_name(f"{node.name}:0")
    except KeyError:  # a variable of TensorFlow 1
        return graph.get_tensor_by_name(f"{node.name.removesuffix('/handle')}:0")
    return tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.as_dtype(node.attr["dtype"].type))


def _batches(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Groups the indices of `sizes` so that each group has at most PART_BYTES or a single index."""
    batch: list[int] = []
    total = 0
    for number, size in enumerate(sizes):
        if batch and total + size > PART_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(number)
        total += size
    if batch:
        yield batch


def _rest(read: Callable[[int], list[np.ndarray]], position: int) -> Iterator[np.ndarray]:
    """The parts of a variable from `position` on."""
    while (part := read(position)[0]).size:
        yield part
        position += part.size


def _map_constants(draft: _Draft, max_constant_bytes: int, frozen: Frozen) -> None:
    """Maps the large constants, except filters of convolutions as far as the budget allows."""
    # The value of a constant that requests feed is not known.
    unfed = [node for _, node in _large_constants(draft.graph_def) if node.name not in frozen.fed]
    _merge_equal_constants(draft.graph_def, unfed, frozen.kept)
    large = _large_constants(draft.graph_def)
    total = sum(size for size, _ in large)
    if not draft.weights and total <= min(SMALL_MODEL_BYTES, max_constant_bytes):
        return
    filters = _filters(draft.graph_def)
    budget = min(MAX_CONSTANT_BYTES, max_constant_bytes)
    for size, node in sorted(large, key=lambda item: item[0]):
        if node.name in filters and size <= budget:
            budget -= size
        else:
            tensor = node.attr["value"].tensor
            draft.replace(node, tf.make_ndarray(tensor), tensor.dtype)


def _large_constants(graph_def: Any) -> list[tuple[int, Any]]:
    """The constants that could be mapped, with their bytes."""
    found = []
    for node in graph_def.node:
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            count = int(np.prod([dim.size for dim in tensor.tensor_shape.dim], dtype=object))
            if (size := element_bytes(tensor.dtype) * count) >= MIN_MAPPED_BYTES:
                found.append((size, node))
    return found


def _merge_equal_constants(graph_def: Any, large: Iterable[Any], kept: Collection[str]) -> None:
    """Makes the graph read one of several large constants: folding makes two of a weight that two signatures use."""
    first: dict[bytes, str] = {}
    instead = {}
    for node in large:
        content = hashlib.sha256(node.attr["value"].tensor.SerializeToString(deterministic=True)).digest()
        if first.setdefault(content, node.name) != node.name and node.name not in kept:
            instead[node.name] = first[content]
    replace_inputs(graph_def, instead)
    for node in [node for node in graph_def.node if node.name in instead]:
        graph_def.node.remove(node)


def _filters(graph_def: Any) -> set[str]:
    """The nodes whose value reaches a convolution as its filter, possibly through Identity and the like."""
    nodes = {node.name: node for node in graph_def.node}
    found = set()
    for node in graph_def.node:
        if node.op in _CONVOLUTIONS and len(node.input) > 1:
            name = node.input[1].partition(":")[0]
            while name in nodes and name not in found:
                found.add(name)
                if nodes[name].op not in _PASS_ON or not nodes[name].input:
                    break
                name = nodes[name].input[0].partition(":")[0]
    return found


def _fold(draft: _Draft, frozen: Frozen) -> None:
    """Computes what depends on weights alone, such as a cast or a transposition: grappler could not, without values."""
    nodes = {node.name: node for node in draft.graph_def.node}
    mapped = {weight.variable for weight in draft.weights}
    functions = {function.signature.name for function in draft.graph_def.library.function}
    constant = _constant_nodes(nodes, mapped, functions, frozen.fed)
    consumers: dict[str, list[str]] = {}
    for node in draft.graph_def.node:
        for source in node.input:
            consumers.setdefault(source.removeprefix("^").partition(":")[0], []).append(node.name)
    frontier = [
        name
        for name, bytes_below in constant.items()
        if bytes_below
        and nodes[name].op not in _PASS_ON
        and (name in frozen.kept or any(user not in constant for user in consumers.get(name, ())))
    ]
    if not frontier:
        return
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(draft.graph_def, name="")
        # Optimised, each run would read and copy all weights.
        session = tf.compat.v1.Session(graph=graph, config=without_optimiser(tf.compat.v1.ConfigProto()))
    with session:
        initialise(session, draft.folder, draft.weights)
        names, outputs, sizes = [], [], []
        for name in frontier:
            operation = graph.get_operation_by_name(name)
            if len(operation.outputs) != 1 or any(
                f"{name}:" in source
                for user in consumers.get(name, ())
                for source in nodes[user].input
                if source.partition(":")[2] not in ("", "0")
            ):
                continue
            output = operation.outputs[0]
            size = element_bytes(output.dtype.as_datatype_enum) * (output.shape.num_elements() or 0)
            if MIN_MAPPED_BYTES <= size <= MAX_GROWTH * constant[name]:
                names.append(name)
                outputs.append(output)
                sizes.append(size)
        for batch in _batches(sizes):
            values = _values(session, [outputs[number] for number in batch])
            for number, value in zip(batch, values, strict=True):
                if value is not None:
                    draft.replace(nodes[names[number]], value, outputs[number].dtype.as_datatype_enum)


def _values(session: Any, outputs: list[Any]) -> list[Any]:
    """The values of tensors; None for one that cannot be computed: it fails when it is needed, in the request."""
    try:
        return list(session.run(outputs))
    except tf.errors.OpError:
        return [None] if len(outputs) == 1 else [value for output in outputs for value in _values(session, [output])]


def _constant_nodes(
    nodes: Mapping[str, Any], mapped: Collection[str], functions: Collection[str], fed: Collection[str]
) -> dict[str, int]:
    """The nodes whose value depends on nothing but constants and mapped weights, with the bytes of these weights.

    The value of a node that requests feed (`fed`) depends on the request, even if the node is a constant.
    """
    constant: dict[str, int] = {}
    for name in _in_order(nodes):
        node = nodes[name]
        if name in fed:
            continue
        if node.op == "Const":
            constant[name] = 0
        elif node.op == "ReadVariableOp":
            if node.input[0] in mapped and len(node.input) == 1:
                shape = nodes[node.input[0]].attr["shape"].shape
                count = int(np.prod([dim.size for dim in shape.dim], dtype=object))
                constant[name] = count * element_bytes(node.attr["dtype"].type)
        elif node.input and node.op not in functions and _is_pure(node.op):
            sources = [source.partition(":")[0] for source in node.input]
            if all(source in constant for source in sources):
                constant[name] = sum(constant[source] for source in sources)
    return constant


def _in_order(nodes: Mapping[str, Any]) -> Iterator[str]:
    """The names of the nodes, each after its inputs. Loops are left out."""
    waiting = {name: len({_name(source) for source in node.input}) for name, node in nodes.items()}
    users: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for source in {_name(source) for source in node.input}:
            users.setdefault(source, []).append(name)
    ready = [name for name, count in waiting.items() if not count]
    while ready:
        name = ready.pop()
        yield name
        for user in users.get(name, ()):
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)


def _is_pure(op: str) -> bool:
    """Whether the operator computes the same value from the same inputs each time. Control flow does not count."""
    definition = op_def_registry.get(op)
    return (
        definition is not None
        and not definition.is_stateful
        and not any(arg.is_ref for arg in [*definition.input_arg, *definition.output_arg])
        and not any(attr.type in ("func", "list(func)") for attr in definition.attr)
        and op not in ("Switch", "Merge", "Enter", "Exit", "NextIteration", "_SwitchN", "PlaceholderWithDefault")
    )


def _drop_unused(draft: _Draft, roots: Collection[str]) -> None:
    """Removes nodes that neither requests nor the initialisation need, and the files of weights that nothing reads."""
    nodes = {node.name: node for node in draft.graph_def.node}
    used, pending = set(), [name for name in roots if name in nodes]
    while pending:
        name = pending.pop()
        if name not in used:
            used.add(name)
            pending += [source for source in map(_name, nodes[name].input) if source in nodes]
    left = tf.compat.v1.GraphDef(versions=draft.graph_def.versions, library=draft.graph_def.library)
    left.node.extend(node for node in draft.graph_def.node if node.name in used)
    draft.graph_def = left
    for weight in [weight for weight in draft.weights if weight.variable not in used]:
        draft.weights.remove(weight)
        (draft.folder / weight.file).unlink()


def _name(source: str) -> str:
    return source.removeprefix("^").partition(":")[0]
