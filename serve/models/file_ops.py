"""Rejects models that read or write files while they run, unless the operator trusts them.

A SavedModel is a program. It must load its own variables and assets, but not open other files for a client.
"""

from pathlib import Path

from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.denied_ops import opens_files
from tfx_export.savedmodel.graph import all_nodes, parse_graph
from tfx_export.savedmodel.reader import read_index

# How many ops the error message names.
MAX_SHOWN = 5


def reject_file_ops(folder: Path) -> None:
    """Raises FAILED_PRECONDITION if a graph of the SavedModel in `folder` has an op that opens files.

    Passes a folder without a readable graph, because the engine reports that.
    """
    found = sorted(file_ops(folder))
    if found:
        raise ServeError(
            Code.FAILED_PRECONDITION,
            f"The model reads or writes files as it runs: {', '.join(found[:MAX_SHOWN])}. "
            "If you trust it, serve it with --allow_file_ops",
        )


def file_ops(folder: Path) -> set[str]:
    """Returns the denied ops of the SavedModel in `folder`, including those in functions."""
    try:
        graphs = [parse_graph(meta_graph) for meta_graph in read_index(folder).meta_graphs]
    except SavedModelError:
        return set()
    return {_shown(node) for graph in graphs for node in all_nodes(graph) if opens_files(node)}


def _shown(node: wire.NodeDef) -> str:
    return f"{node.op} in node {node.name}"
