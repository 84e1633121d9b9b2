"""Recognises what a user gave as a model: the kind of file or folder, and the command that takes it.

All commands and the server use it for their messages. It reads names and the first bytes of a file, and imports neither
TensorFlow nor numpy.
"""

import json
import re
import shlex
import stat
import sys
import zipfile
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_HEAD_BYTES = 4096
# Larger JSON files are not parsed.
_JSON_BYTES = 64 << 20
_IMAGES = {b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image", b"GIF8": "a GIF image"}
_FETCH_AGAIN = "Compare its size with the original's and fetch it again."
_PYTORCH = (
    "No command takes PyTorch models: export the network from TensorFlow or Keras, or convert it to a SavedModel."
)
_WEIGHTS_ONLY = "Load the weights in a program that builds the model, and save all: model.save('model.keras')"
GRAPH, UNKNOWN, _MISSING = "a TensorFlow graph", "a binary file of an unknown kind", "missing"
_FOLDER, _EMPTY_FOLDER = "a folder without a model", "an empty folder"
# Fields of a GraphDef in text form.
_TEXT_GRAPH = re.compile(rb"^\s*(node|library|versions)\s*:?\s*\{", re.MULTILINE)
_CHECKPOINTABLE = b"_CHECKPOINTABLE_OBJECT_GRAPH"


@dataclass(frozen=True)
class Recognised:
    """The kind of a model file or folder, and advice.

    Attributes:
        what: The kind, as the end of a sentence: `a TensorFlow Lite model`.
        advice: What to type; may be empty.
        is_placeholder: Whether it holds no model, but a Git LFS pointer, a web page or an empty file.
    """

    what: str
    advice: str = ""
    is_placeholder: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is of a known kind, other than any folder or any file."""
        return self.what not in (UNKNOWN, _MISSING, _FOLDER, _EMPTY_FOLDER)


def describe(path: Path, wanted: str) -> tuple[str, str]:
    """Returns the message and the hint for a `path` that is not `wanted`, such as `a Keras model`."""
    found = recognise(path)
    if found.what == _MISSING:
        return f"{path} does not exist.", found.advice
    return f"{path} is not {wanted}: it is {found.what}.", found.advice


def recognise(path: Path) -> Recognised:
    """Returns what `path` is, from its name and content. Never raises."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _folder(path)
        if not stat.S_ISREG(mode):
            return Recognised("not a regular file")
        return _file(path)
    except (FileNotFoundError, NotADirectoryError):
        return _prefix(path) or Recognised(_MISSING, _near(path))
    except (OSError, ValueError) as error:
        return Recognised(f"not readable: {getattr(error, 'strerror', None) or error}")


def _near(path: Path) -> str:
    """Returns the name most like that of a missing `path`, and what its folder holds."""
    folder = path.parent
    if not folder.is_dir():
        folder = next((one for one in path.absolute().parents if one.is_dir()), Path("/"))
        return f"There is no folder {path.parent}. {folder} holds: {listing(folder)}"
    near = get_close_matches(path.name, _names(folder), n=1)
    meant = f"Did you mean {path.with_name(near[0])}?\n" if near else ""
    return f"{meant}{folder.absolute() if folder == Path() else folder} holds: {listing(folder)}"


def listing(folder: Path) -> str:
    """Returns the first names in `folder`, as text."""
    names = [name for name in _names(folder) if not name.startswith(".")]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir())
    except OSError:
        return []


def _folder(path: Path) -> Recognised:
    names = _names(path)
    for recogniser in (_saved_model_folder, _keras_folder, _checkpoint_folder, _other_folder):
        if found := recogniser(path, names):
            return found
    if not names:
        return Recognised(_EMPTY_FOLDER)
    return Recognised(_FOLDER, f"It holds: {listing(path)}{_models_in(path, names)}")


def _models_in(folder: Path, names: list[str]) -> str:
    models = [name for name in names if name.endswith((*KERAS_SUFFIXES, ".meta", ".tflite"))]
    return f"\nGive a file in it: {quoted(folder / models[0])}" if models else ""


def _saved_model_folder(path: Path, names: list[str]) -> Recognised | None:
    if any(name in names for name in SAVED_MODEL_FILES):
        return _saved_model(path, "a SavedModel")
    versions = sorted((name for name in names if name.isascii() and name.isdigit()), key=int, reverse=True)
    for name in versions:
        inside = _names(path / name)
        if any(each in inside for each in (*SAVED_MODEL_FILES, "model.tflite")):
            return Recognised(
                "a model folder, which holds versions",
                f"Give a version: {quoted(path / name)}\nA server takes the folder: tfx-export serve {quoted(path)}",
            )
    if path.name == "variables" and any(name in _names(path.parent) for name in SAVED_MODEL_FILES):
        return _saved_model(path.parent, "the folder with the variables of a SavedModel")
    inner = [name for name in names if any((path / name / each).is_file() for each in SAVED_MODEL_FILES)]
    if inner:
        return Recognised("a folder that holds a SavedModel", f"Give its folder: {quoted(path / inner[0])}")
    models = [name for name in names if any(each.isdigit() for each in _names(path / name))]
    if models:
        return Recognised(
            "a folder of models",
            f"Give one of them: {quoted(path / models[0])}\nA server takes all: tfx-export serve {quoted(path)}",
        )
    return None


def _saved_model(folder: Path, what: str) -> Recognised:
    keras = "" if not (folder / "keras_metadata.pb").is_file() else f"\n{_exports('keras', folder)}"
    return Recognised(
        what, f"{_exports('savedmodel', folder)}{keras}\nThe commands show, run and scan take the folder too."
    )


def _exports(command: str, path: Path, more: str = "") -> str:
    return f"To export it: tfx-export {command} {quoted(path)}{more} --out models/NAME"


def quoted(path: Path) -> str:
    """Returns `path` as a word that can be pasted into a shell."""
    return shlex.quote(str(path))


def _keras_folder(path: Path, names: list[str]) -> Recognised | None:
    if "config.json" in names and any(name in names for name in ("metadata.json", "model.weights.h5")):
        packed = path.with_name(f"{path.name.removesuffix('.keras')}-packed.keras")
        python = "python" if sys.platform == "win32" else "python3"
        return Recognised(
            "an unzipped .keras file",
            f"Zip it again: {python} -m zipfile -c {quoted(packed)} {quoted(path)}/*\n"
            f"{_exports('keras', packed).replace('export it', 'export that')}",
        )
    if "model.json" in names and (found := _json(path / "model.json")) and "TensorFlow.js" in found.what:
        return found
    if "config.json" in names and any(name.endswith((".safetensors", ".bin")) for name in names):
        return Recognised("a folder of Hugging Face Transformers", _PYTORCH)
    return None


def _checkpoint_folder(path: Path, names: list[str]) -> Recognised | None:
    named = named_checkpoint(path / "checkpoint")
    if named and (found := _prefix(path / named)):
        return found
    prefixes = [name.removesuffix(".index") for name in names if name.endswith(".index")]
    return _prefix(path / prefixes[-1]) if prefixes else None


def named_checkpoint(file: Path) -> str:
    """Returns the name of the newest checkpoint in a file `checkpoint`, or an empty string."""
    try:
        first = file.read_bytes()[:_HEAD_BYTES].decode(errors="replace").partition("\n")[0]
    except OSError:
        return ""
    key, _, value = first.partition(":")
    return value.strip().strip('"').replace("\\", "/").rpartition("/")[2] if key == "model_checkpoint_path" else ""


def _prefix(prefix: Path) -> Recognised | None:
    """Recognises the checkpoint whose files begin with `prefix`."""
    index, meta = prefix.with_name(f"{prefix.name}.index"), prefix.with_name(f"{prefix.name}.meta")
    if meta.is_file():
        return Recognised("a TF1 checkpoint", _exports("session", meta))
    if not index.is_file():
        return None
    if prefix.parent.name == "variables" and any((prefix.parents[1] / name).is_file() for name in SAVED_MODEL_FILES):
        return _saved_model(prefix.parents[1], "the variables of a SavedModel")
    if _CHECKPOINTABLE in index.read_bytes():
        return Recognised(
            "a checkpoint of tf.train.Checkpoint, which holds the values of variables but no graph",
            "Restore it in a program that builds the model, and save all:\n"
            f"  tf.train.Checkpoint(model=model).restore({str(prefix)!r}).expect_partial()\n"
            "  tf.saved_model.save(model, 'saved')   # or, with Keras: model.save('model.keras')",
        )
    return Recognised(
        f"a TF1 checkpoint without its graph ({meta.name} is missing)",
        f"Fetch {meta.name} too, or load the values into a session that builds the graph, and call export_session.",
    )


def _other_folder(path: Path, names: list[str]) -> Recognised | None:
    tflite = [name for name in names if name.endswith(".tflite")]
    if tflite:
        return _tflite(path / tflite[0], "a folder with a TensorFlow Lite model")
    return None


def _file(path: Path) -> Recognised:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return Recognised("an empty file", "Copy or fetch it again.", is_placeholder=True)
    if head.startswith(LFS_POINTER):
        return Recognised(
            "a Git LFS pointer, a short text in place of the real file",
            "Fetch the real file: git lfs install && git lfs pull",
            is_placeholder=True,
        )
    for recogniser in (_container, _weights, _graph):
        if found := recogniser(path, head):
            return found
    return _text(path, head) or Recognised(UNKNOWN)


def _container(path: Path, head: bytes) -> Recognised | None:
    if head.startswith(HDF5_MAGIC):
        return _hdf5(path)
    if head.startswith(b"PK"):
        return _zip(path)
    if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar":
        return Recognised("a packed archive", f"Unpack it first: tar -xf {quoted(path)}")
    return None


def _hdf5(path: Path) -> Recognised:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            groups, whole = list(file), "model_config" in file.attrs
            keys = {*groups, *file.attrs}
    except (OSError, RuntimeError, KeyError, ValueError):
        return Recognised("a damaged HDF5 file, perhaps cut short in a copy or download", _FETCH_AGAIN)
    if whole:
        return Recognised("a Keras model", _exports("keras", path))
    if keys & {"layer_names", "weight_names", "layers", "_layer_checkpoint_dependencies", "vars"}:
        shard = path.name.removesuffix(".weights.h5").rpartition("_")[0]
        index = path.with_name(f"{shard}.weights.json")
        if index.is_file():
            return _sharded(index)
        return Recognised(
            "a file of Keras weights without their model", _exports("keras", path, " --architecture model.json")
        )
    return Recognised("an HDF5 file without a Keras model", f"It holds: {', '.join(groups[:6]) or 'nothing'}")


def _zip(path: Path) -> Recognised:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        kind = ".keras" if path.suffix == ".keras" else "zip"
        return Recognised(f"a damaged {kind} archive, perhaps cut short in a copy or download", _FETCH_AGAIN)
    if "config.json" in names:
        return Recognised("a Keras model", _exports("keras", path))
    if any(name.endswith(("data.pkl", "constants.pkl")) for name in names):
        return Recognised("a PyTorch file", _PYTORCH)
    if names and all(name.endswith(".npy") for name in names):
        return Recognised("a file of numpy arrays (.npz)")
    if any(name.rpartition("/")[2] in SAVED_MODEL_FILES for name in names):
        return Recognised("a zip archive of a SavedModel", f"Unpack it first: unzip {quoted(path)}")
    return Recognised(
        "a zip archive, but not a Keras model: it holds no config.json",
        f"It holds: {', '.join(names[:6]) or 'nothing'}",
    )


def _weights(path: Path, head: bytes) -> Recognised | None:
    size = int.from_bytes(head[:8], "little")
    if 2 <= size <= 100 << 20 and head[8:9] == b"{" and (head[9:].lstrip()[:1] in (b'"', b"}")):
        return Recognised("a safetensors file: weights without a model", _WEIGHTS_ONLY)
    if head.startswith(b"\x93NUMPY"):
        return Recognised("a numpy array (.npy)")
    if head[0] == 0x80 and head[1] in range(2, 6):
        if path.suffix in (".pt", ".pth", ".bin", ".ckpt") or head[2:14].startswith(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9"):
            return Recognised("a PyTorch file", _PYTORCH)
        return Recognised(
            "a Python pickle, which is never read because it can run code",
            "Load the model in a program of yours and save it: model.save('model.keras')",
        )
    for magic, what in _IMAGES.items():
        if head.startswith(magic):
            return Recognised(what)
    if path.suffix == ".bin" and (path.parent / "model.json").is_file():
        found = _json(path.parent / "model.json")
        return found if "TensorFlow.js" in found.what else None
    return None


def _graph(path: Path, head: bytes) -> Recognised | None:
    """Recognises files of TensorFlow and ONNX by their names and by the first field of their message."""
    if head[4:8] == b"TFL3":
        return _tflite(path, "a TensorFlow Lite model")
    if path.suffix == ".onnx" or (head[0] == 8 and 3 <= head[1] <= 30 and head[2:3] == b"\x12"):
        return Recognised("an ONNX model", "No command takes ONNX models. onnx2tf, a converter, writes a SavedModel.")
    if path.name in SAVED_MODEL_FILES:
        return _saved_model(path.parent, "the file of a SavedModel")
    if path.name == "checkpoint":
        return _prefix(path.with_name(named)) if (named := named_checkpoint(path)) else None
    if path.suffix in (".meta", ".index") or ".data-" in path.suffix:
        return _prefix(path.with_suffix("")) or Recognised(
            "a file of a checkpoint whose .index file is missing", "Fetch all its files: .meta, .index and .data-*"
        )
    if head.startswith(b"\x08\x01\x12") or head.lstrip().startswith(b"saved_model_schema_version"):
        name = f"saved_model{'.pb' if head[0] == 8 else '.pbtxt'}"
        return Recognised("a SavedModel under another name", f"Rename it to {name} and give its folder.")
    if path.name == "keras_metadata.pb" or path.name == "fingerprint.pb":
        return _saved_model(path.parent, "a file of a SavedModel")
    if _TEXT_GRAPH.search(head) or (path.suffix == ".pb" and head[:1] in (b"\x0a", b"\x12", b"\x22")):
        return Recognised(GRAPH, _exports("session", path))
    return None


def _tflite(path: Path, what: str) -> Recognised:
    return Recognised(
        what,
        "A server takes it as model.tflite in a version folder:\n"
        f"  mkdir -p models/NAME/1 && cp {quoted(path)} models/NAME/1/model.tflite && tfx-export serve models/NAME",
    )


def _text(path: Path, head: bytes) -> Recognised | None:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4 or b"\0" in head:
            return None
        text = head[: error.start].decode()
    if "\0" in text:
        return None
    if text.lstrip().startswith("{"):
        return _json(path)
    if text.lstrip().lower().startswith(("<!doctype", "<html")):
        return Recognised(
            "a web page, perhaps saved in place of a download", "Fetch the file itself.", is_placeholder=True
        )
    if path.suffix == ".py":
        return Recognised(
            "a Python file", f"To export a function of it: tfx-export function {path.stem}:NAME --out DIR"
        )
    first = text.strip().splitlines()[0][:60] if text.strip() else ""
    return Recognised(f"a text file that begins {first!r}" if first else "a file of spaces")


def _json(path: Path) -> Recognised:
    other = Recognised("a file of JSON text")
    try:
        content = json.loads(path.read_bytes()) if path.stat().st_size <= _JSON_BYTES else None
    except (OSError, ValueError, RecursionError):
        return other
    if not isinstance(content, dict):
        return other
    if "modelTopology" in content or "weightsManifest" in content:
        layers = content.get("format") == "layers-model" or "model_config" in (content.get("modelTopology") or ())
        kinds = "tfjs_layers_model --output_format=keras" if layers else "tfjs_graph_model --output_format=tfjs"
        advice = f"Convert it: tensorflowjs_converter --input_format={kinds} {quoted(path)} model.h5"
        return Recognised("a TensorFlow.js model", advice if layers else "Export the model that it was converted from.")
    if "weight_map" in content:
        shards = content["weight_map"]
        if "safetensors" in str(shards)[:10000] or path.name.endswith((".safetensors.index.json", ".bin.index.json")):
            return Recognised("the index of sharded weights without a model", _WEIGHTS_ONLY)
        return _sharded(path)
    if "class_name" in content and "config" in content:
        return Recognised(
            "the architecture of a Keras model (JSON) without its weights",
            f"To export it with its weights: tfx-export keras WEIGHTS.weights.h5 --architecture {quoted(path)} "
            "--out models/NAME",
        )
    return other


def _sharded(index: Path) -> Recognised:
    return Recognised(
        "sharded Keras weights without their model",
        f"In a program that builds the model: model.load_weights({str(index)!r}); model.save('model.keras')",
    )
