"""What should not be in a model that is served: denied ops, damaged variables, NaN and infinite values.

Variables are read from the checkpoint without TensorFlow. Of the constants in the graph only NaN counts: infinities
are ordinary there (masks, identities of maximum and minimum).
"""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.checkpoint import Variable, read_variables
from tfx_export.savedmodel.denied_ops import nodes, reason
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.graph import parse_graph
from tfx_export.savedmodel.reader import choose_meta_graph, read_index

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Finding:
    """One thing that was found: an op, a variable or a constant, where it stands, and what is wrong with it."""

    kind: Literal["op", "variable", "constant"]
    name: str
    problem: str


@dataclass(frozen=True)
class ScanReport:
    """All findings, and how much was looked at."""

    findings: tuple[Finding, ...]
    nodes: int
    variables: int

    def to_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`."""
        return asdict(self)


def scan(folder: Path | str, *, tag_set: str | None = None, denied_ops: Collection[str] | None = None) -> ScanReport:
    """Look through the SavedModel in `folder`: the graph of `tag_set` ("serve,gpu"), or all, and every variable.

    `denied_ops` replaces the ops that are denied. Raises SavedModelError for what is no SavedModel.
    """
    folder = Path(folder)
    index = read_index(folder)
    meta_graphs = list(index.meta_graphs) if tag_set is None else [choose_meta_graph(index, tag_set)]
    found: list[Finding] = []
    count = 0
    for meta_graph in meta_graphs:
        tags = ",".join(sorted(meta_graph.meta_info_def.tags))
        for node in nodes(parse_graph(meta_graph)):
            count += 1
            found += _look_at(node, tags, denied_ops)
    variables = read_variables(folder)
    if not variables and (folder / "variables").is_dir() and any((folder / "variables").iterdir()):
        found.append(Finding("variable", "variables.index", "is missing beside the data of the variables"))
    for variable in variables:
        if problem := _variable_problem(variable):
            found.append(Finding("variable", variable.name, problem))
    return ScanReport(tuple(dict.fromkeys(found)), count, len(variables))


def _look_at(node: wire.NodeDef, tags: str, denied_ops: Collection[str] | None) -> Iterator[Finding]:
    where = f"{node.op} in node {node.name!r} of the tag set {tags!r}"
    if denied_ops is None:
        if why := reason(node):
            yield Finding("op", node.op, f"{where} {why}")
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
        return f"the bytes in {variable.file.name} are cut off or do not match their checksum"
    try:
        values = variable.values()
    except (KeyError, ValueError, SavedModelError) as error:
        return f"cannot be read: {error}"
    nan, infinite = _count(values)
    counts = [f"{count} of {values.size} values are {what}" for count, what in ((nan, "NaN"), (infinite, "infinite"))]
    return ", ".join(text for text, count in zip(counts, (nan, infinite), strict=True) if count)


def _count(values: np.ndarray) -> tuple[int, int]:
    """How many values are NaN and how many infinite, a block at a time: a large variable is never copied whole."""
    if values.dtype.kind not in "fc" and values.dtype != numpy_dtype("DT_BFLOAT16"):
        return 0, 0
    flat = values.ravel()
    nan = infinite = 0
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        nan += int(np.isnan(block).sum())
        infinite += int(np.isinf(block).sum())
    return nan, infinite
