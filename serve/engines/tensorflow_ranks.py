"""RankGuard: whether the graph accepts inputs of other ranks than declared, found out without running it.

If a convolution gets a tensor of a wrong rank, a CHECK inside oneDNN fails and the process ends. TensorFlow's static
shape inference refuses such a rank while the graph is built.
"""

import threading
from collections.abc import Collection, Mapping
from typing import Any

import tensorflow as tf

from serve.errors import Code, ServeError

# The limit of TensorFlow's own tensors.
MAX_RANK = 254
# At most 1,024 verdicts per model, because clients choose the ranks.
MAX_VERDICTS = 1024


class RankGuard:
    """Infers shapes once for each combination of ranks and remembers the verdict."""

    def __init__(self, shape_graph: Any) -> None:
        self._shape_graph = shape_graph
        self._nodes = {node.name: node for node in shape_graph.node}
        # By the ranks of the inputs and the fetched tensors.
        self._verdicts: dict[tuple[Any, ...], str] = {}
        self._lock = threading.Lock()

    def check(self, ranks: Mapping[str, int], fetched: frozenset[str]) -> None:
        """Raises INVALID_ARGUMENT if what `fetched` tensors need does not accept `ranks` (input tensor -> rank)."""
        key = tuple(sorted(ranks.items())), fetched
        verdict = self._verdicts.get(key)
        if verdict is None:
            with self._lock:
                verdict = self._infer(ranks, fetched)
                if len(self._verdicts) >= MAX_VERDICTS:
                    self._verdicts.clear()
                self._verdicts[key] = verdict
        if verdict:
            raise ServeError(Code.INVALID_ARGUMENT, verdict)

    def _infer(self, ranks: Mapping[str, int], fetched: frozenset[str]) -> str:
        """Returns an empty string if all shapes can be inferred, otherwise TensorFlow's error message."""
        if any(rank > MAX_RANK for rank in ranks.values()):
            return f"Tensors of more than {MAX_RANK} dimensions are not supported"
        needed, fed = self._needed(ranks.keys(), fetched)
        with tf.Graph().as_default():
            feeds = {}
            for tensor in fed:
                attr = self._nodes[tensor.partition(":")[0]].attr
                dtype = tf.as_dtype(attr["dtype" if "dtype" in attr else "T"].type)
                feeds[tensor] = tf.compat.v1.placeholder(dtype, [None] * ranks[tensor])
            try:
                tf.graph_util.import_graph_def(needed, input_map=feeds, name="")
            except ValueError as error:
                return str(error)
        return ""

    def _needed(self, fed: Collection[str], fetched: Collection[str]) -> tuple[Any, set[str]]:
        """The part of the graph that runs for the `fetched` tensors, and those of the `fed` tensors that it reads.

        A fed tensor is not computed: the nodes that only it needs do not run.
        """
        needed = tf.compat.v1.GraphDef(versions=self._shape_graph.versions, library=self._shape_graph.library)
        read: set[str] = set()
        seen: set[str] = set()
        pending = [*fetched]
        while pending:
            tensor = _full_name(pending.pop())
            if tensor in fed:
                read.add(tensor)
                continue
            name = tensor.removeprefix("^").partition(":")[0]
            if name in seen or name not in self._nodes:
                continue
            seen.add(name)
            pending += self._nodes[name].input
        needed.node.extend(node for node in self._shape_graph.node if node.name in seen)
        return needed, read


def _full_name(tensor: str) -> str:
    """`node` -> `node:0`. The name of a control input stays."""
    return tensor if ":" in tensor or tensor.startswith("^") else f"{tensor}:0"
