"""Finds the nodes of a GraphDef that a tensor depends on, and those that depend on it. Does not import TensorFlow."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def node_of(tensor: str) -> str:
    """Returns the node of a tensor or control input: `^a` -> `a`, `a:1` -> `a`."""
    return tensor.lstrip("^").partition(":")[0]


def canonical(tensor: str) -> str:
    """Returns the name of a tensor with its output index: `a` -> `a:0`."""
    return tensor if ":" in tensor else f"{tensor}:0"


class Nodes:
    """The nodes of one graph by name, with their inputs and consumers."""

    def __init__(self, graph_def: "tf.compat.v1.GraphDef") -> None:
        self.by_name: dict[str, tf.compat.v1.NodeDef] = {node.name: node for node in graph_def.node}
        self.consumers: dict[str, list[str]] = {name: [] for name in self.by_name}
        for node in graph_def.node:
            for tensor in node.input:
                if node_of(tensor) in self.consumers:
                    self.consumers[node_of(tensor)].append(node.name)

    def dependencies(self, targets: Iterable[str], stop: Collection[str] = (), fed: Collection[str] = ()) -> set[str]:
        """Returns `targets` and the nodes they depend on.

        Does not follow the inputs of nodes in `stop`, nor inputs that are tensors in `fed`.
        """
        found: set[str] = set()
        waiting = list(targets)
        while waiting:
            name = waiting.pop()
            if name in found or name not in self.by_name:
                continue
            found.add(name)
            if name not in stop:
                inputs = self.by_name[name].input
                waiting.extend(node_of(tensor) for tensor in inputs if canonical(tensor) not in fed)
        return found

    def read_by(self, names: Iterable[str]) -> set[str]:
        """Returns the tensors that the nodes `names` read."""
        return {canonical(tensor) for name in names for tensor in self.by_name[name].input}

    def dependents(self, sources: Iterable[str]) -> set[str]:
        """Returns `sources` and the nodes that depend on them."""
        found: set[str] = set()
        waiting = list(sources)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(self.consumers.get(name, ()))
        return found


class FunctionLibrary:
    """The functions of a graph, to look into the functions that a node calls."""

    def __init__(self, graph_def: "tf.compat.v1.GraphDef") -> None:
        self._functions = {function.signature.name: function for function in graph_def.library.function}

    def inside(self, node: "tf.compat.v1.NodeDef") -> Iterator["tf.compat.v1.NodeDef"]:
        """Yields the nodes of all functions that `node` calls, directly or from inside a function."""
        for name in self._reachable(node):
            yield from self._functions[name].node_def

    def _reachable(self, node: "tf.compat.v1.NodeDef") -> set[str]:
        found: set[str] = set()
        waiting = [node]
        while waiting:
            for name in _called(waiting.pop()):
                if name in self._functions and name not in found:
                    found.add(name)
                    waiting.extend(self._functions[name].node_def)
        return found


def _called(node: "tf.compat.v1.NodeDef") -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def subgraph(graph_def: "tf.compat.v1.GraphDef", names: Collection[str]) -> "tf.compat.v1.GraphDef":
    """Returns a copy of `graph_def` with only the nodes `names`, and all functions.

    Control edges to other nodes are removed, and so is colocation, which may name one of them.
    """
    small = type(graph_def)()
    small.versions.CopyFrom(graph_def.versions)
    small.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        if node.name in names:
            kept = small.node.add()
            kept.CopyFrom(node)
            kept.attr.pop("_class", None)
            del kept.input[:]
            kept.input.extend(tensor for tensor in node.input if not tensor.startswith("^") or node_of(tensor) in names)
    return small
