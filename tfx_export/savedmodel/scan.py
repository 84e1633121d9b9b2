"""Scans a SavedModel for denied ops, damaged variables, and NaN or infinite values.

Variables are read from the checkpoint without TensorFlow. Constants of the graph are checked for NaN only, because
infinities are normal there (masks, identities of maximum and minimum).
"""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.checkpoint import INDEX, Variable, read_variables
from tfx_export.savedmodel.denied_ops import denial_reason
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.graph import all_nodes, parse_graph
from tfx_export.savedmodel.reader import choose_meta_graph, read_index

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One problem: kind and name of the op, variable or constant, and a text that says what is wrong."""

    kind: Literal["op", "variable", "constant"]
    name: str
    problem: str


@dataclass(frozen=True)
class ScanReport:
    """All findings, and how many nodes and variables were scanned."""

    findings: tuple[Finding, ...]
    nodes: int
    variables: int

    def to_json(self) -> dict[str, object]:
        """Returns plain values for `json.dumps`."""
        return asdict(self)


def scan(folder: Path | str, *, tag_set: str | None = None, denied_ops: Collection[str] | None = None) -> ScanReport:
    """Scans the graphs and all variables of the SavedModel in `folder`. Does not need TensorFlow.

    `tag_set` ("serve,gpu") limits the scan to the ops and constants of one graph; the default is all graphs.
    `denied_ops` replaces the built-in set of denied ops.
    Raises SavedModelError if `folder` is not a valid SavedModel or has no such tag set.
    """
    folder = Path(folder)
    index = read_index(folder)
    meta_graphs = list(index.meta_graphs) if tag_set is None else [choose_meta_graph(index, tag_set)]
    found: list[Finding] = []
    count = 0
    for meta_graph in meta_graphs:
        tags = ",".join(sorted(meta_graph.meta_info_def.tags))
        for node in all_nodes(parse_graph(meta_graph)):
            count += 1
            found += _node_findings(node, tags, denied_ops)
    variables = read_variables(folder)
    if not (folder / INDEX).is_file() and any((folder / "variables").glob("variables.data-*")):
        found.append(
            Finding("variable", "variables.index", "is missing, although there are files with data of variables")
        )
    for variable in variables:
        if problem := _variable_problem(variable):
            found.append(Finding("variable", variable.name, problem))
    return ScanReport(tuple(dict.fromkeys(found)), count, len(variables))


def _node_findings(node: wire.NodeDef, tags: str, denied_ops: Collection[str] | None) -> Iterator[Finding]:
    where = f"{node.op} in node {node.name!r} of the tag set {tags!r}"
    if denied_ops is None:
        if reason := denial_reason(node):
            yield Finding("op", node.op, f"{where} {reason}")
    elif node.op in denied_ops:
        yield Finding("op", node.op, f"{where} is denied")
    if node.op == "Const":
        try:
            values = tensor.decode(node.attr["value"].tensor, max_elements=0)
        except ValueError:
            return
        nan, _ = _count(values)
        if nan:
            yield Finding("constant", node.name, f"{nan} of {values.size} values are NaN (tag set {tags!r})")


def _variable_problem(variable: Variable) -> str:
    if variable.dtype in ("DT_STRING", "DT_VARIANT", "DT_RESOURCE"):
        return ""
    if variable.is_damaged():
        return f"the bytes in {variable.file.name} are truncated or do not match their checksum"
    try:
        values = variable.values()
    except (KeyError, ValueError, SavedModelError) as error:
        return f"cannot be read: {error}"
    nan, infinite = _count(values)
    counts = [f"{count} of {values.size} values are {what}" for count, what in ((nan, "NaN"), (infinite, "infinite"))]
    return ", ".join(text for text, count in zip(counts, (nan, infinite), strict=True) if count)


def _count(values: np.ndarray) -> tuple[int, int]:
    """Counts NaN and infinite values, block by block, so that a large variable is never copied as a whole."""
    if values.dtype.kind not in "fc" and values.dtype != numpy_dtype("DT_BFLOAT16"):
        return 0, 0
    flat = values.ravel()
    nan = infinite = 0
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        nan += int(np.isnan(block).sum())
        infinite += int(np.isinf(block).sum())
    return nan, infinite
