"""Recognises a Keras file and the Keras that wrote it from its bytes.

Does not import TensorFlow, so that a wrong file is reported at once.
"""

import json
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.keras1_config import is_keras1, translate
from tfx_export.exporting.sources.keras_config import prepare
from tfx_export.exporting.sources.keras_options import DEFAULT_OPTIONS, KerasOptions
from tfx_export.savedmodel.reader import is_saved_model

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
SUFFIXES = {".keras", ".h5", ".hdf5"}


@dataclass(frozen=True)
class KerasFile:
    """A model file: its container, the version of Keras that wrote it (`""` if the file does not say), its layers.

    `config` is the JSON of the layers, or empty for a SavedModel; that of Keras 1 is translated to Keras 2. `changed`
    is whether it differs from that in the file.
    """

    path: Path
    container: Literal["keras", "h5", "weights", "savedmodel"]
    keras_version: str
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    options: KerasOptions = DEFAULT_OPTIONS
    changed: bool = False

    @property
    def generation(self) -> int:
        """3 if Keras 3 wrote the file, else 2, because tf_keras loads Keras 1 too. The oldest files have no version."""
        major = self.keras_version.partition(".")[0]
        return 3 if major.isdigit() and int(major) >= 3 else 2

    @property
    def is_keras1(self) -> bool:
        return self.keras_version.partition(".")[0] == "1"


def inspect_keras_file(path: Path, options: KerasOptions = DEFAULT_OPTIONS) -> KerasFile:
    """Recognises the Keras model in the file or folder `path`.

    Raises SourceError if it is not a complete Keras model, with a description of what it is; if it holds Python code
    that `options` neither trust nor replace; and if a layer to replace does not exist.
    """
    if options.architecture:
        file = _inspect_architecture(path, options.architecture)
    elif is_saved_model(path):
        return KerasFile(path, "savedmodel", "2" if (path / "keras_metadata.pb").is_file() else "")
    else:
        head = _read_head(path)
        if head.startswith(_HDF5_MAGIC):
            file = _inspect_h5(path)
        elif head.startswith(b"PK\x03\x04"):
            file = _inspect_archive(path)
        else:
            raise SourceError(f"{path} is not a Keras model: {_describe(path, head)}", hint=_hint(head))
    where = str(options.architecture or path)
    file = replace(file, options=options, changed=prepare(file.config, options, where))
    if not is_keras1(file.config, file.keras_version):
        return file
    config = translate(file.config, where, keep_unknown=bool(options.custom_objects))
    return replace(file, config=config, changed=True, keras_version=file.keras_version or "1")


def _inspect_architecture(weights: Path, path: Path) -> KerasFile:
    """Recognises an architecture in the JSON file `path`, with its weights in another file."""
    if not _read_head(weights).startswith(_HDF5_MAGIC):
        raise SourceError(
            f"{weights} is not a file of weights: it is not HDF5.",
            hint="Write one with model.save_weights('model.weights.h5').",
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"The architecture {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise SourceError(
            f"The architecture {path} is not valid JSON: {error}", hint="model.to_json() returns it."
        ) from None
    if not isinstance(config, dict) or "class_name" not in config:
        raise SourceError(f"The JSON in {path} does not describe a Keras model.", hint="model.to_json() returns it.")
    # Keras 3 writes no version there, but the module of each class.
    return KerasFile(weights, "weights", str(config.get("keras_version", "3" if "module" in config else "")), config)


def _read_head(path: Path) -> bytes:
    if path.is_dir():
        raise SourceError(
            f"{path} is a folder without a SavedModel; a Keras model is a SavedModel or a file "
            f"({', '.join(sorted(SUFFIXES))}).",
            hint=_models_in(path),
        )
    try:
        with path.open("rb") as file:
            return file.read(512)
    except FileNotFoundError:
        near = get_close_matches(path.name, _names(path.parent), n=1)
        hint = f"Did you mean {path.with_name(near[0])}?" if near else _models_in(path.parent)
        raise SourceError(f"There is no file {path}.", hint=hint) from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from None


def _inspect_h5(path: Path) -> KerasFile:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                groups = ", ".join(list(file)[:6])
                raise SourceError(
                    f"{path} holds {'weights' if _looks_like_weights(file) else 'data'} but no model: "
                    f"it has no model_config (groups: {groups or 'none'}).",
                    hint="Give the model's JSON too (--architecture model.json), "
                    "or save the whole model with model.save('model.keras').",
                )
            version = file.attrs.get("keras_version", b"")
            config = json.loads(file.attrs["model_config"])
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise SourceError(
            f"{path} is a damaged HDF5 file, perhaps cut short in a copy or download: {error}",
            hint="Compare its size with the original's and fetch it again.",
        ) from None
    return KerasFile(path, "h5", version.decode() if isinstance(version, bytes) else str(version), config)


def _looks_like_weights(file: object) -> bool:
    keys = set(file)  # type: ignore[call-overload]
    attributes = set(file.attrs)  # type: ignore[attr-defined]
    return bool(
        attributes & {"layer_names", "weight_names"} or keys & {"layers", "_layer_checkpoint_dependencies", "vars"}
    )


def _inspect_archive(path: Path) -> KerasFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                raise SourceError(
                    f"{path} is a zip archive, but not a Keras model: it holds no config.json.",
                    hint=f"It holds: {', '.join(names[:6]) or 'nothing'}",
                )
            metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise SourceError(
            f"{path} is a damaged .keras archive, perhaps cut short in a copy or download: {error}",
            hint="Compare its size with the original's and fetch it again.",
        ) from None
    return KerasFile(path, "keras", str(metadata.get("keras_version", "")), config)


def _describe(path: Path, head: bytes) -> str:
    if not head:
        return "it is empty."
    if head.startswith(_LFS_POINTER):
        return "it is a Git LFS pointer, a short text in place of the real file."
    if head.startswith(b"\x08\x01\x12") or path.suffix in (".pb", ".pbtxt"):
        return "it looks like a TensorFlow graph or SavedModel."
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return "it is neither HDF5 nor a .keras archive."
        text = head[: error.start].decode()
    if text.lstrip().startswith("{"):
        return "it is JSON text, perhaps a model's architecture without its weights."
    if text.lstrip().lower().startswith(("<!doctype", "<html")):
        return "it is a web page, perhaps saved in place of a download."
    first = text.strip().splitlines()[0][:60] if text.strip() else ""
    return f"it is text that begins {first!r}."


def _hint(head: bytes) -> str:
    if head.startswith(_LFS_POINTER):
        return "Fetch the real file: git lfs install && git lfs pull"
    return "Write a Keras model with model.save('model.keras') or model.save('model.h5')."


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _models_in(folder: Path) -> str:
    models = [name for name in _names(folder) if Path(name).suffix in SUFFIXES]
    return f"Models in {folder}: {', '.join(models[:8])}" if models else f"There are no model files in {folder}."
