"""Loads a Keras model file with the Keras that wrote it."""

import json
import os
import re
import shutil
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.keras_config import replacement_name
from tfx_export.exporting.sources.keras_file import KerasFile
from tfx_export.exporting.sources.object_reference import import_object

if TYPE_CHECKING:
    import tensorflow as tf

_MAX_REASON_LENGTH = 400  # characters
_BACKEND_HINT = (
    "Save the model as a file, and export the file with tfx-export, or with KERAS_BACKEND=tensorflow set before Keras "
    "is imported."
)


def load(file: KerasFile) -> "tf.keras.Model":
    """Loads the model in `file` without compiling it. Raises SourceError with the message of Keras and a hint."""
    library = _keras3() if file.generation == 3 else _keras2()
    objects = file.options.load_custom_objects()
    for layer, reference in file.options.replace_layers.items():
        objects[replacement_name(layer)] = _layer_class(reference, library)
    try:
        with _configured(file) as path:
            if file.container == "weights":
                model = library.models.model_from_json(json.dumps(file.config), custom_objects=objects)
                model.load_weights(path)
                return model
            safe = not file.options.trust_lambda
            return library.models.load_model(path, custom_objects=objects, compile=False, safe_mode=safe)
    except Exception as error:
        # A layer's constructor may raise anything. The cause is in the file, so a stack trace does not help the user.
        raise SourceError(
            f"{library.__name__} cannot load {file.path}: {keras_reason(error)}", hint=_hint(file, error)
        ) from error


def keras_reason(error: Exception) -> str:
    """Returns the reason of an error in Keras or in the user's layers: its first two lines, without terminal colours.

    Keras also writes the whole config of the layer into the message, which does not help the user.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    around, _, text = text.rpartition("Exception encountered:")
    text = text.strip() or around
    text = text.partition("Error encountered:")[2] or text  # of a layer, while Keras infers the shape of its output
    text = text.partition("\nArguments received by ")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return textwrap.shorten(" ".join(lines[:2]).partition(" config={")[0], _MAX_REASON_LENGTH) or type(error).__name__


@contextmanager
def _configured(file: KerasFile) -> Iterator[str]:
    """Yields the path of a file that has the suffix Keras expects, and holds `file.config`."""
    suffixes = {"keras": (".keras",), "h5": (".h5", ".hdf5"), "weights": (".h5", ".hdf5")}[file.container]
    if not file.changed and file.path.suffix in suffixes:
        yield str(file.path)
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / f"{file.path.stem}{suffixes[0]}"
        if file.changed and file.container == "keras":
            _copy_archive(file, copy)
        else:
            shutil.copyfile(file.path, copy)
        if file.changed and file.container in ("h5", "weights"):
            import h5py

            with h5py.File(copy, "r+") as opened:
                if file.container == "h5":
                    opened.attrs["model_config"] = json.dumps(file.config)
                if file.is_keras1:
                    # The version with which tf_keras reorders the weights of Keras 1; it looks for exactly this text.
                    for group in (opened, opened.get("model_weights")):
                        if group is not None:
                            group.attrs["keras_version"] = b"1"
        yield str(copy)


def _copy_archive(file: KerasFile, copy: Path) -> None:
    with zipfile.ZipFile(file.path) as source, zipfile.ZipFile(copy, "w") as target:
        for item in source.infolist():
            if item.filename == "config.json":
                target.writestr("config.json", json.dumps(file.config))
                continue
            with source.open(item) as content, target.open(item.filename, "w", force_zip64=True) as written:
                shutil.copyfileobj(content, written)


def _layer_class(reference: str, library: ModuleType) -> type["tf.keras.layers.Layer"]:
    """Imports a layer class or a function; returns for a function a layer class that calls it."""
    value: Callable[..., object] = import_object(reference)
    if isinstance(value, type):
        return value
    if not callable(value):
        raise SourceError(f"{reference} is of type {type(value).__name__}, not a layer class or a function.")

    class Replacement(library.layers.Layer):  # type: ignore[misc,name-defined]
        def call(self, *args: object) -> object:
            return value(*args)

    return Replacement


def _keras3() -> ModuleType:
    try:
        import keras
    except ImportError as error:  # for example, KERAS_BACKEND=torch without PyTorch
        backend = os.environ.get("KERAS_BACKEND", "")
        raise SourceError(
            f"Keras cannot be imported with the backend {backend!r}: {error}.", hint=_BACKEND_HINT
        ) from error
    require_tensorflow_backend(keras)
    return keras  # type: ignore[no-any-return]


def require_tensorflow_backend(keras: ModuleType) -> None:
    """Raises SourceError if Keras 3 computes with another framework."""
    if keras.backend.backend() != "tensorflow":
        raise SourceError(
            f"Keras uses the backend {keras.backend.backend()} here, but an export needs TensorFlow.",
            hint=_BACKEND_HINT,
        )


def _keras2() -> ModuleType:
    try:
        import tf_keras
    except ImportError:
        raise SourceError(
            "The file was written by Keras 2, and tf_keras, which reads it, is not installed.",
            hint="Install it: pip install 'tfx-export[keras2]'",
        ) from None
    return tf_keras  # type: ignore[no-any-return]


def _hint(file: KerasFile, error: Exception) -> str:
    text = str(error)
    if isinstance(error, EOFError) or "marshal" in text:
        return "A Lambda layer holds code of another Python version. Replace it: --replace-layer NAME=module:Class"
    if "safe_mode" in text or "unsafe_deserialization" in text:
        return "Keras refuses what could run code from outside of the file. If you trust the file: --trust-lambda"
    if "SavedModel file does not exist" in text:
        return "A TFSMLayer loads the SavedModel at the path that was given to it. Copy the SavedModel there."
    if "custom_object" in text or "Unknown layer" in text or "Could not locate" in text:
        return (
            "Give your own classes and functions: --custom-objects module:Class (repeatable). "
            "If it is an operation of keras.ops in an .h5 file, save the model as .keras."
        )
    library = "keras" if file.generation == 3 else "tf_keras"
    installed = version(library)
    if _numbers(file.keras_version) > _numbers(installed):
        return f"The file was written by Keras {file.keras_version}, but {installed} is installed. Upgrade {library}."
    return f"Does {library}.models.load_model({str(file.path)!r}) load it in Python?"


def _numbers(release: str) -> list[int]:
    """Returns `3.15.1` as numbers to compare, without a suffix such as `rc0`."""
    return [int(number) for number in re.findall(r"\d+", release)[:3]]
