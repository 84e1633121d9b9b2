"""Models that read or write files as they run: refused, unless the operator trusts them.

A SavedModel is a program. Loading its own variables and assets is what it must do; opening other files on behalf of
whoever sends a request is not.
"""

from pathlib import Path

from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.denied_ops import opens_files
from tfx_export.savedmodel.graph import all_nodes, parse_graph
from tfx_export.savedmodel.reader import read_index

# A message is read by people.
MAX_SHOWN = 5


def refuse_file_ops(folder: Path) -> None:
    """FAILED_PRECONDITION if a graph of the SavedModel in `folder` holds an op that opens files.

    A folder without a graph, or with one that cannot be read, is left to the engine to complain about.
    """
    found = sorted(file_ops(folder))
    if found:
        raise ServeError(
            Code.FAILED_PRECONDITION,
            f"The model reads or writes files as it runs: {', '.join(found[:MAX_SHOWN])}. "
            "If you trust it, serve it with --allow_file_ops",
        )


def file_ops(folder: Path) -> set[str]:
    """The denied ops in the SavedModel in `folder`, those in functions included."""
    try:
        graphs = [parse_graph(meta_graph) for meta_graph in read_index(folder).meta_graphs]
    except SavedModelError:
        return set()
    return {_shown(node) for graph in graphs for node in all_nodes(graph) if opens_files(node)}


def _shown(node: wire.NodeDef) -> str:
    return f"{node.op} in node {node.name}"
