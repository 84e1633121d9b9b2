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

    def __init__(self, shape_graph: Any, graph: Any) -> None:
        """`graph` is the one of the session; `shape_graph` has its nodes for shape inference."""
        self._shape_graph = shape_graph
        self._graph = graph
        self._nodes = {node.name: node for node in shape_graph.node}
        # By the ranks of the inputs and the fetched tensors.
        self._verdicts: dict[tuple[Any, ...], str] = {}
        self._lock = threading.Lock()

    def check(self, ranks: Mapping[str, int], fetched: frozenset[str]) -> None:
        """Raises INVALID_ARGUMENT if what `fetched` tensors need does not accept `ranks` (input tensor -> rank)."""
        # The session refuses to feed a tensor that is not in the graph.
        found = {_full_name(name): rank for name, rank in ranks.items() if self._find(name) is not None}
        if all(self._find(name).shape.rank == rank for name, rank in found.items()):
            return
        key = tuple(sorted(found.items())), fetched
        verdict = self._verdicts.get(key)
        if verdict is None:
            with self._lock:
                verdict = self._infer(found, fetched)
                if len(self._verdicts) >= MAX_VERDICTS:
                    self._verdicts.clear()
                self._verdicts[key] = verdict
        if verdict:
            raise ServeError(Code.INVALID_ARGUMENT, verdict)

    def _find(self, name: str) -> Any:
        try:
            return self._graph.get_tensor_by_name(_full_name(name))
        except (KeyError, ValueError):
            return None

    def _infer(self, ranks: Mapping[str, int], fetched: frozenset[str]) -> str:
        """Returns an empty string if all shapes can be inferred, otherwise TensorFlow's error message."""
        if any(rank > MAX_RANK for rank in ranks.values()):
            return f"Tensors of more than {MAX_RANK} dimensions are not supported"
        needed, fed = self._needed(ranks.keys(), fetched)
        with tf.Graph().as_default():
            feeds = {}
            for tensor in fed:
                dtype = self._find(tensor).dtype.base_dtype
                feeds[tensor] = tf.compat.v1.placeholder(dtype, [None] * ranks[tensor])
            try:
                tf.graph_util.import_graph_def(needed, input_map=feeds, name="")
            except (ValueError, TypeError) as error:
                return str(error)
        return ""

    def _needed(self, fed: Collection[str], fetched: Collection[str]) -> tuple[Any, set[str]]:
        """The part of the graph that runs for the `fetched` tensors, and those of the `fed` tensors that it reads.

        A fed tensor is not computed: the nodes that only it needs do not run.
        """
        needed = tf.compat.v1.GraphDef(versions=self._shape_graph.versions, library=self._shape_graph.library)
        read: set[str] = set()
        seen: set[str] = set()
        # A fed tensor that is fetched is returned as it is.
        pending = [tensor for tensor in fetched if tensor not in fed]
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
