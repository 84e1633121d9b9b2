"""Ops that a served model should not contain: they open files, run Python code or talk to other machines."""

from tfx_export import wire

FILE_OPS = frozenset(
    {
        # Whole files. The file name may come with the request.
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
# They call back into the process that built the graph and fail in every other process.
PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
NETWORK_OPS = frozenset(
    {"RpcCall", "RpcClient", "RpcServer", "RemoteCall", "DataServiceDataset", "DataServiceDatasetV2",
     "DataServiceDatasetV3", "DataServiceDatasetV4", "RegisterDataset", "RegisterDatasetV2"}
)  # fmt: skip
DENIED_OPS = FILE_OPS | PYTHON_OPS | NETWORK_OPS


def opens_files(node: wire.NodeDef) -> bool:
    """Whether `node` reads or writes files when it runs. PrintV2 does if it prints to a file."""
    return node.op in FILE_OPS or (node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file://"))


def denial_reason(node: wire.NodeDef) -> str:
    """Returns why the op of `node` is in DENIED_OPS; empty for all other ops."""
    if opens_files(node):
        return "reads or writes files as it runs"
    if node.op in PYTHON_OPS:
        return "calls Python code that is not in the model"
    return "talks to other machines" if node.op in NETWORK_OPS else ""
