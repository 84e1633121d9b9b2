"""SignatureGraph: a signature in the graph that is written, and the source to compare it with."""

from collections.abc import Callable
from dataclasses import dataclass

from tfx_export.exporting.source_graph import Arrays
from tfx_export.savedmodel.signature import Signature


@dataclass(frozen=True)
class SignatureGraph:
    """A signature that is built in the source's graph.

    `run_source` computes the source's own outputs for inputs of the signature, outside of the graph that is written.
    """

    signature: Signature
    run_source: Callable[[Arrays], Arrays]
