"""Odd values for mutants: sizes, names, and tensors of the graph."""

from random import Random
from typing import Any

SIZES = (-1, 0, 1, 1, 2, 2, 3, 5, 1 << 20, 1 << 40, -5, (1 << 63) - 1)
NAMES = ("", ":", ":0", "x:-1", "x:99999999999", "\u2603:0", "there/is/none:0", "^x", "_x", "x" * 70000, "x:0:0", "a b")


def any_tensor(meta_graph: Any, chance: Random) -> str:
    nodes = meta_graph.graph_def.node
    return f"{chance.choice(nodes).name}:{chance.choice((0, 0, 0, 1, 2))}" if nodes else "none:0"
