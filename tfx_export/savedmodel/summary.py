"""Summarizes a SavedModel: its signatures by tag set, its sizes, and the TensorFlow version that wrote it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfx_export import wire
from tfx_export.savedmodel.reader import BINARY, read_index, signatures
from tfx_export.savedmodel.signature import Signature, TensorSpec

# TensorFlow 2 writes this signature for its loader; clients cannot call it.
INIT_OP = "__saved_model_init_op"


@dataclass(frozen=True)
class MetaGraphSummary:
    """One graph of a SavedModel: its tags, the signatures that clients can call, and the names of its asset files."""

    tags: tuple[str, ...]
    signatures: dict[str, Signature]
    assets: tuple[str, ...]
    tensorflow_version: str


@dataclass(frozen=True)
class SavedModelSummary:
    """A SavedModel folder: its file (`saved_model.pb` or `.pbtxt`), its graphs, and its size in bytes.

    `total_bytes` is the size of all files, `variable_bytes` that of the files in `variables`.
    """

    folder: Path
    file: str
    meta_graphs: tuple[MetaGraphSummary, ...]
    total_bytes: int
    variable_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Returns plain values for `json.dumps`. A dimension of any size, and a shape of any rank, are None."""
        return {
            "folder": str(self.folder),
            "file": self.file,
            "total_bytes": self.total_bytes,
            "variable_bytes": self.variable_bytes,
            "meta_graphs": [
                {
                    "tags": list(meta.tags),
                    "tensorflow_version": meta.tensorflow_version,
                    "assets": list(meta.assets),
                    "signatures": {name: _signature_json(signature) for name, signature in meta.signatures.items()},
                }
                for meta in self.meta_graphs
            ],
        }


def show(folder: Path | str) -> SavedModelSummary:
    """Summarizes the SavedModel in `folder`. Does not need TensorFlow.

    Raises SavedModelError if `folder` is not a valid SavedModel.
    """
    folder = Path(folder)
    return summarize(folder, read_index(folder))


def summarize(folder: Path, index: wire.SavedModelIndex) -> SavedModelSummary:
    """Summarizes `index`, which `reader.read_index` read from `folder`."""
    return SavedModelSummary(
        folder=folder,
        file=next(path.name for path in (folder / BINARY, folder / f"{BINARY}txt") if path.is_file()),
        meta_graphs=tuple(
            MetaGraphSummary(
                tags=tuple(sorted(meta.meta_info_def.tags)),
                signatures={name: signature for name, signature in signatures(meta).items() if name != INIT_OP},
                assets=tuple(sorted(asset.filename for asset in meta.asset_file_def)),
                tensorflow_version=meta.meta_info_def.tensorflow_version,
            )
            for meta in index.meta_graphs
        ),
        total_bytes=_size(folder),
        variable_bytes=_size(folder / "variables"),
    )


def _signature_json(signature: Signature) -> dict[str, object]:
    return {
        "method": signature.method,
        "inputs": dict(_tensors_json(signature.inputs)),
        "outputs": dict(_tensors_json(signature.outputs)),
        "optional": sorted(signature.defaults),
    }


def _tensors_json(tensors: Mapping[str, TensorSpec]) -> Iterator[tuple[str, dict[str, object]]]:
    for key, spec in tensors.items():
        shape = None if spec.shape is None else list(spec.shape)
        yield key, {"dtype": spec.dtype, "shape": shape, "tensor": spec.tensor, "encoding": spec.encoding}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
