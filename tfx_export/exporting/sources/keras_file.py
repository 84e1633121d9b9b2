"""Recognises a Keras file and the Keras that wrote it from its bytes.

Does not import TensorFlow, so that a wrong file is reported at once.
"""

import json
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.keras1_config import is_keras1, translate
from tfx_export.exporting.sources.keras_config import prepare
from tfx_export.exporting.sources.keras_options import DEFAULT_OPTIONS, KerasOptions
from tfx_export.recognise import HDF5_MAGIC, describe
from tfx_export.savedmodel.reader import is_saved_model


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
        if head.startswith(HDF5_MAGIC):
            file = _inspect_h5(path)
        elif head.startswith(b"PK\x03\x04"):
            file = _inspect_archive(path)
        else:
            raise _not_keras(path)
    where = str(options.architecture or path)
    file = replace(file, options=options, changed=prepare(file.config, options, where))
    if not is_keras1(file.config, file.keras_version):
        return file
    config = translate(file.config, where, keep_unknown=bool(options.custom_objects))
    return replace(file, config=config, changed=True, keras_version=file.keras_version or "1")


def _inspect_architecture(weights: Path, path: Path) -> KerasFile:
    """Recognises an architecture in the JSON file `path`, with its weights in another file."""
    if not _read_head(weights).startswith(HDF5_MAGIC):
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
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError:  # also for a folder
        raise _not_keras(path) from None


def _not_keras(path: Path) -> SourceError:
    message, hint = describe(path, "a Keras model")
    return SourceError(message, hint=hint or "Write a Keras model with model.save('model.keras').")


def _inspect_h5(path: Path) -> KerasFile:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise _not_keras(path)
            version = file.attrs.get("keras_version", b"")
            config = json.loads(file.attrs["model_config"])
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise SourceError(
            f"{path} is a damaged HDF5 file, perhaps cut short in a copy or download: {error}",
            hint="Compare its size with the original's and fetch it again.",
        ) from None
    return KerasFile(path, "h5", version.decode() if isinstance(version, bytes) else str(version), config)


def _inspect_archive(path: Path) -> KerasFile:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                raise _not_keras(path)
            metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise SourceError(
            f"{path} is a damaged .keras archive, perhaps cut short in a copy or download: {error}",
            hint="Compare its size with the original's and fetch it again.",
        ) from None
    return KerasFile(path, "keras", str(metadata.get("keras_version", "")), config)
