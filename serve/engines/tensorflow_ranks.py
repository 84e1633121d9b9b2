"""RankGuard: whether the graph accepts inputs of other ranks than declared, found out without running it.

If a convolution gets a tensor of a wrong rank, a CHECK inside oneDNN fails and the process ends. TensorFlow's static
shape inference refuses such a rank while the graph is built.
"""

import threading
from collections.abc import Mapping
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
        self._verdicts: dict[tuple[tuple[str, int], ...], str] = {}
        self._lock = threading.Lock()

    def check(self, ranks: Mapping[str, int]) -> None:
        """Raise INVALID_ARGUMENT if the graph does not accept `ranks` (input tensor -> rank)."""
        key = tuple(sorted(ranks.items()))
        verdict = self._verdicts.get(key)
        if verdict is None:
            with self._lock:
                verdict = self._infer(ranks)
                if len(self._verdicts) >= MAX_VERDICTS:
                    self._verdicts.clear()
                self._verdicts[key] = verdict
        if verdict:
            raise ServeError(Code.INVALID_ARGUMENT, verdict)

    def _infer(self, ranks: Mapping[str, int]) -> str:
        """Return an empty string if all shapes can be inferred, otherwise TensorFlow's error message."""
        if any(rank > MAX_RANK for rank in ranks.values()):
            return f"Tensors of more than {MAX_RANK} dimensions are not supported"
        dtypes = {node.name: node.attr for node in self._shape_graph.node}
        with tf.Graph().as_default():
            feeds = {}
            for tensor, rank in ranks.items():
                attr = dtypes[tensor.partition(":")[0]]
                dtype = tf.as_dtype(attr["dtype" if "dtype" in attr else "T"].type)
                feeds[tensor] = tf.compat.v1.placeholder(dtype, [None] * rank)
            try:
                tf.graph_util.import_graph_def(self._shape_graph, input_map=feeds, name="")
            except ValueError as error:
                return str(error)
        return ""
