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

DENIED = frozenset(
    {
        # Whole files, by a name that may come with the request.
        "ReadFile", "WriteFile", "MatchingFiles", "WholeFileReader", "WholeFileReaderV2",
        # Records and lines of files.
        "TextLineReader", "TextLineReaderV2", "TFRecordReader", "TFRecordReaderV2", "FixedLengthRecordReader",
        "FixedLengthRecordReaderV2", "LMDBReader", "TextLineDataset", "TFRecordDataset", "TFRecordDatasetV2",
        "FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", "CSVDataset", "CSVDatasetV2", "SqlDataset",
        "ExperimentalCSVDataset", "ExperimentalSqlDataset", "ExperimentalLMDBDataset", "LMDBDataset",
        "ExperimentalMatchingFilesDataset", "MatchingFilesDataset",
        # Datasets written to disk.
        "SaveDataset", "SaveDatasetV2", "LoadDataset", "DatasetToTFRecord", "ExperimentalDatasetToTFRecord",
        "SnapshotDataset", "SnapshotDatasetV2", "CacheDataset", "CacheDatasetV2",
        # Event files and debug dumps.
        "CreateSummaryFileWriter", "CreateSummaryDbWriter", "WriteRawProtoSummary", "DebugIdentityV2",
        "DebugIdentityV3",
    }
)  # fmt: skip

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
    return {_shown(node) for graph in _graphs(folder) for node in _nodes(graph) if _denied(node)}


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


def _nodes(graph: wire.Message) -> Iterator[wire.Message]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _denied(node: wire.Message) -> bool:
    return node.op in DENIED or (node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file://"))


def _shown(node: wire.Message) -> str:
    return f"{node.op} in node {node.name}"
