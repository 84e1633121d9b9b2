"""Finds out from the graph what a string input holds: an encoded image, a serialized tf.Example, or text."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tfx_export import wire
from tfx_export.savedmodel import reader, tensor
from tfx_export.savedmodel.dtypes import dtype_name, dtype_number
from tfx_export.savedmodel.graph import all_nodes, parse_graph
from tfx_export.savedmodel.signature import Shape

_DECODERS = {"DecodeImage", "DecodeJpeg", "DecodePng", "DecodeBmp", "DecodeGif", "DecodeAndCropJpeg"}
_NUMBER_PARSERS = {"StringToNumber", "DecodeCSV"}
_PARSERS = {"ParseExampleV2", "ParseExample", "ParseSingleExample"}

# The nodes of one graph or function, by name.
Scope: TypeAlias = dict[str, wire.NodeDef]


@dataclass(frozen=True)
class Feature:
    """One feature of a tf.Example: its dtype, and the shape of its dense values (None: any number of values).

    `required`: the graph has no default for it.
    """

    dtype: str
    shape: Shape | None
    required: bool = False


@dataclass(frozen=True)
class StringInput:
    """What a string input holds.

    `image` is true if the graph decodes it as an image. `features` holds the features if the graph parses it as a
    tf.Example. Otherwise it is text, and `words` are the vocabularies of the graph, to build text that it knows.
    `number` is true if the graph parses text as a number.
    """

    image: bool
    features: dict[str, Feature]
    words: tuple[bytes, ...]
    number: bool = False


class StringInputs:
    """The string inputs of the SavedModel in `folder`. The graph is read at the first use."""

    def __init__(self, folder: Path, tags: list[str]) -> None:
        self._folder, self._tags = folder, tags
        self._graph: wire.GraphDef | None = None

    def of(self, name: str) -> StringInput:
        """Returns what the input tensor `name` (`serving_default_inputs:0`) holds."""
        graph = self.graph()
        reached = list(self._reached(graph, name.partition(":")[0]))
        features: dict[str, Feature] = {}
        for node, scope in reached:
            if node.op in _PARSERS:
                features |= _features(node, scope)
        ops = {node.op for node, _ in reached}
        return StringInput(bool(ops & _DECODERS), features, self._words(graph), number=bool(ops & _NUMBER_PARSERS))

    def table_keys(self) -> tuple[int, ...]:
        """Returns the integer keys of the graph's lookup tables, at most 500 of each."""
        graph = self.graph()
        fed = {node.input[1].partition(":")[0] for node in graph.node if node.op.startswith("LookupTableImport")}
        constants = [node.attr["value"].tensor for node in graph.node if node.op == "Const" and node.name in fed]
        arrays = [tensor.decode(constant) for constant in constants]
        return tuple(number for array in arrays if array.dtype.kind == "i" for number in array.ravel()[:500].tolist())

    def graph(self) -> wire.GraphDef:
        """Returns the graph of the SavedModel."""
        if self._graph is None:
            meta = reader.find_meta_graph(reader.read_index(self._folder), self._tags)
            self._graph = parse_graph(meta)
        return self._graph

    def _reached(self, graph: wire.GraphDef, start: str) -> Iterator[tuple[wire.NodeDef, Scope]]:
        """Yields the nodes that depend on `start`, each with the nodes of its graph or function by name.

        If a function depends on it, all nodes of the function are included.
        """
        main = {node.name: node for node in graph.node}
        functions = {function.signature.name: function for function in graph.library.function}
        consumers: dict[str, list[wire.NodeDef]] = {}
        for node in graph.node:
            for name in node.input:
                consumers.setdefault(name.lstrip("^").partition(":")[0], []).append(node)
        seen_functions: set[str] = set()
        seen_nodes, queue = {start}, [start]
        while queue:
            for node in consumers.get(queue.pop(), []):
                if node.name not in seen_nodes:
                    seen_nodes.add(node.name)
                    queue.append(node.name)
                    yield node, main
                    yield from _inside(node, functions, seen_functions)

    def _words(self, graph: wire.GraphDef) -> tuple[bytes, ...]:
        words: dict[bytes, None] = {}
        for asset in sorted((self._folder / "assets").glob("*")):
            words |= dict.fromkeys(asset.read_bytes().splitlines()[:500])
        for node in all_nodes(graph):
            if node.op == "Const" and node.attr["dtype"].type == dtype_number("DT_STRING"):
                values = tensor.decode(node.attr["value"].tensor).ravel()
                # A single string is a file name or a message; a vocabulary has more than one.
                words |= dict.fromkeys(values.tolist()[:500] if values.size > 1 else [])
        return tuple(word for word in words if 0 < len(word) <= 64)


def _inside(
    node: wire.NodeDef, functions: dict[str, wire.FunctionDef], seen: set[str]
) -> Iterator[tuple[wire.NodeDef, Scope]]:
    for attribute in node.attr.values():
        for name in [attribute.func.name, *(function.name for function in attribute.list.func)]:
            if name in functions and name not in seen:
                seen.add(name)
                scope = {inner.name: inner for inner in functions[name].node_def}
                for inner in scope.values():
                    yield inner, scope
                    yield from _inside(inner, functions, seen)


def _features(node: wire.NodeDef, scope: Scope) -> dict[str, Feature]:
    """Returns the features that a parsing node reads. The three parsing ops name them in three ways."""

    def strings(name: str) -> list[str]:
        constant = scope.get(name.partition(":")[0])
        if constant is None or constant.op != "Const":
            return []
        return [key.decode() for key in tensor.decode(constant.attr["value"].tensor).ravel().tolist()]

    def is_empty(name: str) -> bool:
        """Whether a default has no values: then there is none."""
        constant = scope.get(name.partition(":")[0])
        return (
            constant is not None and constant.op == "Const" and 0 in tensor.decode(constant.attr["value"].tensor).shape
        )

    attr = node.attr
    if node.op == "ParseExampleV2":
        sparse, dense, ragged = (strings(name) for name in node.input[2:5])
        first_default = 5
    elif node.op == "ParseExample":
        count, last = attr["Nsparse"].i, 2 + attr["Nsparse"].i + attr["Ndense"].i
        sparse = [key for name in node.input[2 : 2 + count] for key in strings(name)]
        dense = [key for name in node.input[2 + count : last] for key in strings(name)]
        ragged = []
        first_default = last
    else:
        sparse, dense = ([key.decode() for key in attr[name].list.s] for name in ("sparse_keys", "dense_keys"))
        ragged = []
        first_default = 1
    found = dict(zip(sparse, (Feature(dtype_name(t), None) for t in attr["sparse_types"].list.type), strict=False))
    found |= dict(
        zip(ragged, (Feature(dtype_name(t), None) for t in attr["ragged_value_types"].list.type), strict=False)
    )
    defaults = node.input[first_default:]
    for key, number, shape, default in zip(
        dense, attr["Tdense"].list.type, attr["dense_shapes"].list.shape, defaults, strict=False
    ):
        dims = tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
        # A feature of varying length may be missing: it is then empty.
        required = is_empty(default) and None not in dims[:1]
        found[key] = Feature(dtype_name(number), dims, required)
    return found
