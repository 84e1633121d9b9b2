"""Ops that do more than compute: they open files, run Python, or talk to other machines."""

from collections.abc import Iterator

from tfx_export import wire

FILE_OPS = frozenset(
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
# They call back into the process that made them; anywhere else they fail.
PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
NETWORK_OPS = frozenset(
    {"RpcCall", "RpcClient", "RpcServer", "RemoteCall", "DataServiceDataset", "DataServiceDatasetV2",
     "DataServiceDatasetV3", "DataServiceDatasetV4", "RegisterDataset", "RegisterDatasetV2"}
)  # fmt: skip
DENIED_OPS = FILE_OPS | PYTHON_OPS | NETWORK_OPS


def nodes(graph: wire.GraphDef) -> Iterator[wire.NodeDef]:
    """The nodes of a GraphDef, those in its functions included."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def opens_files(node: wire.NodeDef) -> bool:
    """Whether `node` reads or writes files as it runs. PrintV2 does if it prints to one."""
    return node.op in FILE_OPS or (node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file://"))


def reason(node: wire.NodeDef) -> str:
    """Why an op of DENIED_OPS is denied; empty for all others."""
    if opens_files(node):
        return "reads or writes files as it runs"
    if node.op in PYTHON_OPS:
        return "calls Python code that is not in the model"
    return "talks to other machines" if node.op in NETWORK_OPS else ""
