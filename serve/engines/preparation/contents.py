"""The files of a prepared version, as the child writes them and the server reads them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve.engines.preparation.cache import DETAILS, Entry

GRAPH, SIGNATURES = "graph.pb", "signatures.pb"


@dataclass(frozen=True)
class Contents:
    """A prepared version. `signatures` is a MetaGraphDef without a graph, `graph` a GraphDef.

    If the graph is not frozen, `reason` says why; `graph` is then for shape inference, without weights, and the
    SavedModel runs as it is. `weights` are the fields of MappedWeight.
    """

    signatures: bytes
    graph: bytes
    init_ops: tuple[str, ...]
    reason: str
    weights: list[dict[str, Any]]


def write(folder: Path, contents: Contents) -> None:
    """Writes everything but the weights, which are in the folder already."""
    (folder / SIGNATURES).write_bytes(contents.signatures)
    (folder / GRAPH).write_bytes(contents.graph)
    details = {"init_ops": contents.init_ops, "reason": contents.reason, "weights": contents.weights}
    (folder / DETAILS).write_text(json.dumps(details))


def read(entry: Entry) -> Contents:
    """Reads a prepared version. Raises OSError if the entry was removed."""
    return Contents(
        signatures=(entry.folder / SIGNATURES).read_bytes(),
        graph=(entry.folder / GRAPH).read_bytes(),
        init_ops=tuple(entry.details["init_ops"]),
        reason=entry.details["reason"],
        weights=[{**weight, "shape": tuple(weight["shape"])} for weight in entry.details["weights"]],
    )


def write_failure(folder: Path, reason: str) -> None:
    """Writes why the version cannot be prepared, in the place of what the child may have written."""
    for file in folder.iterdir():
        file.unlink()
    (folder / DETAILS).write_text(json.dumps({"failure": reason}))


def failure(entry: Entry) -> str:
    """Returns why the version cannot be prepared; an empty string if it was prepared."""
    return str(entry.details.get("failure", ""))
