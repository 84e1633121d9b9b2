"""RankGuard: whether the graph can take inputs of a rank other than declared, without running it.

A tensor of a rank that a convolution cannot take is a failed CHECK inside oneDNN: the process ends. TensorFlow's static
shape inference refuses it as the graph is built.
"""

import threading
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from serve.errors import Code, ServeError

# TensorFlow's own tensors go no higher.
MAX_RANK = 254
# Ranks come from clients: so many different answers are remembered.
MAX_VERDICTS = 1024


class RankGuard:
    """Remembers its verdicts: the question is asked once for each combination of ranks."""

    def __init__(self, shape_graph: Any) -> None:
        self._shape_graph = shape_graph
        self._verdicts: dict[tuple[tuple[str, int], ...], str] = {}
        self._lock = threading.Lock()

    def check(self, ranks: Mapping[str, int]) -> None:
        """INVALID_ARGUMENT if the graph cannot take `ranks` (input tensor -> rank)."""
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
        """Empty if shapes can be inferred throughout, else TensorFlow's complaint."""
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
