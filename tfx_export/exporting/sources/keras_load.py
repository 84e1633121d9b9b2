"""Load a Keras model file with the Keras that wrote it."""

import json
import re
import shutil
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.keras_config import replacement_name
from tfx_export.exporting.sources.keras_file import KerasFile
from tfx_export.exporting.sources.object_reference import find

_LONGEST_REASON = 400  # characters


def load(file: KerasFile) -> Any:
    """The model in `file`, not compiled. Raises SourceError with what Keras says, and what may help."""
    library = _keras3() if file.generation == 3 else _keras2()
    objects = file.options.load_custom_objects()
    for layer, reference in file.options.replace_layers.items():
        objects[replacement_name(layer)] = _layer_class(find(reference), library)
    try:
        with _configured(file) as path:
            if file.container == "weights":
                model = library.models.model_from_json(json.dumps(file.config), custom_objects=objects)
                model.load_weights(path)
                return model
            safe = not file.options.trust_lambda
            return library.models.load_model(path, custom_objects=objects, compile=False, safe_mode=safe)
    except Exception as error:
        # Whatever a layer's constructor may raise: the file is the reason, and the user cannot use our stack.
        raise SourceError(
            f"{library.__name__} cannot load {file.path}: {keras_reason(error)}", hint=_hint(file, error)
        ) from error


def keras_reason(error: Exception) -> str:
    """What went wrong in the user's or Keras's code: the first two lines of the error, without its colours.

    Keras writes the whole config of a layer around what went wrong in it, which says nothing a person can use.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    around, _, text = text.rpartition("Exception encountered:")
    text = text.strip() or around
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return textwrap.shorten(" ".join(lines[:2]).partition(" config={")[0], _LONGEST_REASON) or type(error).__name__


@contextmanager
def _configured(file: KerasFile) -> Iterator[str]:
    """The path of a file with the name Keras knows its kind by, and with `file.config` in it."""
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
        if file.changed and file.container == "h5":
            import h5py

            with h5py.File(copy, "r+") as opened:
                opened.attrs["model_config"] = json.dumps(file.config)
        yield str(copy)


def _copy_archive(file: KerasFile, copy: Path) -> None:
    with zipfile.ZipFile(file.path) as source, zipfile.ZipFile(copy, "w") as target:
        for item in source.infolist():
            if item.filename == "config.json":
                target.writestr("config.json", json.dumps(file.config))
                continue
            with source.open(item) as content, target.open(item.filename, "w", force_zip64=True) as written:
                shutil.copyfileobj(content, written)


def _layer_class(value: Any, library: ModuleType) -> Any:
    """A layer class as it is; a function becomes a class of layers that call it."""
    if isinstance(value, type):
        return value

    class Replacement(library.layers.Layer):  # type: ignore[misc,name-defined]
        def call(self, *args: Any) -> Any:
            return value(*args)

    return Replacement


def _keras3() -> ModuleType:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise SourceError(
            f"Keras runs on {keras.backend.backend()} here, and an export needs it on TensorFlow.",
            hint="Set KERAS_BACKEND=tensorflow before Keras is imported.",
        )
    return keras  # type: ignore[no-any-return]


def _keras2() -> ModuleType:
    try:
        import tf_keras
    except ImportError:
        raise SourceError(
            "The file was written by Keras 2, which tf_keras reads, and that is not installed.",
            hint="Install it: pip install 'tfx-export[keras2]'",
        ) from None
    return tf_keras  # type: ignore[no-any-return]


def _hint(file: KerasFile, error: Exception) -> str:
    text = str(error)
    if isinstance(error, EOFError) or "marshal" in text:
        return "A Lambda layer holds code of another Python version. Replace it: --replace-layer NAME=module:Class"
    if "custom_object" in text or "Unknown layer" in text or "Could not locate" in text:
        return (
            "Classes and functions of your own: --custom-objects module:Class (repeatable). "
            "If it is an operation of keras.ops in an .h5 file, save the model as .keras."
        )
    library = "keras" if file.generation == 3 else "tf_keras"
    installed = version(library)
    if _numbers(file.keras_version) > _numbers(installed):
        return f"The file was written by Keras {file.keras_version}, and {installed} is installed. Upgrade {library}."
    return f"Does {library}.models.load_model({str(file.path)!r}) load it in Python?"


def _numbers(release: str) -> list[int]:
    """`3.15.1` as numbers to compare; what follows them (`rc0`) does not count."""
    return [int(number) for number in re.findall(r"\d+", release)[:3]]
