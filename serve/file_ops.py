"""Models that read or write files as they run: refused, unless the operator trusts them.

A SavedModel is a program. Loading its own variables and assets is what it must do; opening other files on behalf of
whoever sends a request is not.
"""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.savedmodel.risky_ops import nodes, opens_files

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
    return {_shown(node) for graph in _graphs(folder) for node in nodes(graph) if opens_files(node)}


def _graphs(folder: Path) -> Iterator[wire.Message]:
    try:
        if (path := folder / "saved_model.pb").is_file():
            saved_model = wire.SavedModel.FromString(path.read_bytes())
        elif (path := folder / "saved_model.pbtxt").is_file():
            saved_model = wire.parse_text(wire.SavedModel, path.read_bytes())
        else:
            return
    except (OSError, DecodeError, text_format.ParseError, UnicodeDecodeError):
        return
    for meta_graph in saved_model.meta_graphs:
        yield meta_graph.graph_def


def _shown(node: wire.Message) -> str:
    return f"{node.op} in node {node.name}"
