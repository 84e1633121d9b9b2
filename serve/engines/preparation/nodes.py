"""Walks over the nodes of a GraphDef, and changes of their inputs."""

from collections.abc import Iterable, Mapping
from typing import Any


def replace_inputs(graph_def: Any, instead: Mapping[str, str]) -> None:
    """Makes the nodes that read the output of one node read that of another."""
    for node in graph_def.node:
        for position, source in enumerate(node.input):
            if source in instead:
                node.input[position] = instead[source]


def nodes_upstream(nodes: Mapping[str, Any], roots: Iterable[str]) -> list[Any]:
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
