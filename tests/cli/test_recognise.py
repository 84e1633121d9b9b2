"""A command that does not take a path names the kind of the path and the command that takes it."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import tensorflow as tf

from tests.support import keras_models, tf1_models
from tfx_export import wire
from tfx_export.cli import main
from tfx_export.exporting.sources.keras_file import inspect_keras_file
from tfx_export.recognise import recognise

# The command, its arguments after the path, and the kinds that it takes.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "keras": (("keras",), ("--out", "out"), "keras"),
    "session": (("session",), ("--out", "out"), "session"),
    "savedmodel": (("savedmodel",), ("--out", "out"), "savedmodel"),
    "function": (("function",), ("--out", "out"), ""),
    "init keras": (("init", "keras"), (), "keras"),
    "init session": (("init", "session"), (), "session"),
    "init savedmodel": (("init", "savedmodel"), (), "savedmodel"),
    "show": (("show",), (), "savedmodel versions"),
    "scan": (("scan",), (), "savedmodel versions"),
    "run": (("run",), ("--input_exprs", "x=[1.0]"), "savedmodel versions"),
    "diff": (("diff",), (".",), "savedmodel versions"),
    "sig": (("sig", "remove", "nothing", "--in-place", "--dir"), (), "savedmodel"),
    "client": (("client",), (), "savedmodel versions"),
    "versions": (("versions",), (), "versions"),
    "rollback": (("rollback",), (), "versions"),
    "deploy": (("deploy", "docker"), ("--out", "out"), "savedmodel versions"),  # a SavedModel gets a message of its own
    "doctor": (("doctor",), (), "folder"),
    "bench": (("bench",), (), "savedmodel versions litert"),
    "tune": (("tune",), (), "savedmodel versions litert"),
}


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def zipped(name: str, *inside: str) -> Callable[[Path], Path]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for each in inside:
            archive.writestr(each, "{}")
    return written(name, content.getvalue())


def several(given: str, *files: tuple[str, bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name, content in files:
            written(name, content)(folder)
        return folder / given

    return write


def hdf5(name: str, **attributes: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with h5py.File(folder / name, "w") as file:
            file.attrs.update(attributes)
        return folder / name

    return write


def frozen(name: str) -> Callable[[Path], Path]:
    graph = tf.compat.v1.GraphDef(node=[{"name": "x", "op": "Placeholder"}])
    return written(name, str(graph).encode() if name.endswith("txt") else graph.SerializeToString())


def checkpoint(given: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        tf1_models.save_checkpoint(folder / "training", tf1_models.segmenter)
        return folder / "training" / given

    return write


def objects(given: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        module = tf.Module()
        module.w = tf.Variable([1.0])
        tf.train.Checkpoint(model=module).save(str(folder / "objects" / "ckpt"))
        return folder / "objects" / given

    return write


MODEL = wire.SavedModel(saved_model_schema_version=1, meta_graphs=[wire.MetaGraphDef()])
BINARY, TEXT = MODEL.SerializeToString(), b"saved_model_schema_version: 1 meta_graphs { }"
TFJS = json.dumps({"format": "layers-model", "modelTopology": {}, "weightsManifest": []}).encode()
SHARDED = json.dumps({"metadata": {}, "weight_map": {"/layers/d/vars": "m_00000.weights.h5"}}).encode()
TENSORS = len(b"{}").to_bytes(8, "little") + b"{}"
KERAS_TAKES, SESSION_TAKES = "tfx-export keras {path} --out models/NAME", "tfx-export session {path} --out models/NAME"
CHECKPOINT_TAKES = "tfx-export session {folder}/model.ckpt-7.meta --out models/NAME"
SAVED_MODEL_TAKES = "tfx-export savedmodel {folder} --out models/NAME"
# Kind -> what writes it, what the message says, what the hint says, and which of the commands above take it.
KINDS: dict[str, tuple[Callable[[Path], Path], str, str, str]] = {
    "missing": (
        several("digit.h5", ("digits.h5", b"")),
        "{path} does not exist.",
        "Did you mean {folder}/digits.h5?",
        "",
    ),
    "missing folder": (lambda folder: folder / "no" / "where", "does not exist", "{parents[1]} holds: nothing", ""),
    "empty file": (written("m.keras", b""), "an empty file", "Copy or fetch it again.", ""),
    "LFS pointer": (
        written("m.h5", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "a Git LFS pointer",
        "git lfs install && git lfs pull",
        "",
    ),
    "web page": (written("m.h5", b"<!DOCTYPE html><html>"), "a web page", "Fetch the file itself.", ""),
    "text": (written("notes.txt", b"one\ntwo\n"), "a text file that begins 'one'", "", ""),
    "binary": (written("m.dat", bytes(range(200, 255))), "a binary file of an unknown kind", "", ""),
    "Python file": (written("model.py", b"import numpy\n"), "a Python file", "tfx-export function model:NAME", ""),
    "empty folder": (lambda folder: folder, "an empty folder", "", ""),
    "folder": (several("", ("a/b.txt", b"hello")), "a folder without a model", "It holds: a", ""),
    "folder of Keras files": (several("", ("m.keras", b"PK")), "a folder", "Give a file in it: {path}/m.keras", ""),
    "SavedModel": (
        several("m", ("m/saved_model.pb", BINARY)),
        "a SavedModel",
        SAVED_MODEL_TAKES[:-15],
        "savedmodel keras",
    ),
    "saved_model.pb": (written("saved_model.pb", BINARY), "the file of a SavedModel", SAVED_MODEL_TAKES, ""),
    "saved_model.pbtxt": (written("saved_model.pbtxt", TEXT), "the file of a SavedModel", SAVED_MODEL_TAKES, ""),
    "renamed SavedModel": (written("model.pb", BINARY), "a SavedModel under another name", "Rename it to", ""),
    "variables": (
        several("m/variables", ("m/saved_model.pb", BINARY), ("m/variables/variables.index", b"x")),
        "the folder with the variables of a SavedModel",
        "tfx-export savedmodel {folder} ",
        "",
    ),
    "variables.index": (
        several("m/variables/variables.index", ("m/saved_model.pb", BINARY), ("m/variables/variables.index", b"x")),
        "the variables of a SavedModel",
        "tfx-export savedmodel {parents[1]} ",
        "",
    ),
    "model folder": (
        several("m", ("m/2/saved_model.pb", BINARY), ("m/10/saved_model.pb", BINARY)),
        "a model folder, which holds versions",
        "Give a version: {path}/10\nA server takes the folder: tfx-export serve {path}",
        "versions",
    ),
    "folder of models": (
        several("", ("m/1/saved_model.pb", BINARY)),
        "a folder of models",
        "Give one of them: {path}/m",
        "",
    ),
    "folder around a SavedModel": (
        several("", ("m/saved_model.pb", BINARY)),
        "a folder that holds a SavedModel",
        "Give its folder: {path}/m",
        "",
    ),
    "Keras 3 file": (zipped("m.keras", "config.json", "metadata.json"), "a Keras model", KERAS_TAKES, "keras"),
    "Keras h5 file": (hdf5("m.h5", model_config="{}"), "a Keras model", KERAS_TAKES, "keras"),
    "weights": (
        hdf5("m.weights.h5", layer_names="a"),
        "Keras weights without their model",
        "{path} --architecture model.json",
        "",
    ),
    "other HDF5": (hdf5("m.h5", what="x"), "an HDF5 file without a Keras model", "It holds: nothing", ""),
    "cut HDF5": (written("m.h5", b"\x89HDF\r\n\x1a\nxx"), "a damaged HDF5 file", "fetch it again", ""),
    "cut .keras": (written("m.keras", b"PK\x03\x04xx"), "a damaged .keras archive", "fetch it again", ""),
    "unzipped .keras": (
        several("m", ("m/config.json", b"{}"), ("m/metadata.json", b"{}"), ("m/model.weights.h5", b"")),
        "an unzipped .keras file",
        "-m zipfile -c {path}-packed.keras {path}/*",
        "",
    ),
    "architecture": (
        written("m.json", b'{"class_name": "Sequential", "config": {}}'),
        "the architecture of a Keras model (JSON)",
        "tfx-export keras WEIGHTS.weights.h5 --architecture {path} --out models/NAME",
        "",
    ),
    "sharded index": (written("m.weights.json", SHARDED), "sharded Keras weights", "model.load_weights('{path}')", ""),
    "other JSON": (written("m.json", b'{"a": 1}'), "a file of JSON text", "", ""),
    "TF1 .index": (checkpoint("model.ckpt-7.index"), "a TF1 checkpoint", CHECKPOINT_TAKES, "session"),
    "TF1 .data": (checkpoint("model.ckpt-7.data-00000-of-00001"), "a TF1 checkpoint", CHECKPOINT_TAKES, "session"),
    "TF1 prefix": (checkpoint("model.ckpt-7"), "a TF1 checkpoint", CHECKPOINT_TAKES, "session"),
    "TF1 checkpoint file": (checkpoint("checkpoint"), "a TF1 checkpoint", CHECKPOINT_TAKES, "session"),
    "TF1 folder": (checkpoint(""), "a TF1 checkpoint", "tfx-export session {path}/model.ckpt-7.meta", "session"),
    "TF1 without graph": (
        written("m.ckpt.index", b"x"),
        "a TF1 checkpoint without its graph (m.ckpt.meta is missing)",
        "Fetch m.ckpt",
        "",
    ),
    "Checkpoint prefix": (objects("ckpt-1"), "a checkpoint of tf.train.Checkpoint", ".restore('{path}')", ""),
    "Checkpoint .index": (objects("ckpt-1.index"), "a checkpoint of tf.train.Checkpoint", "tf.saved_model.save", ""),
    "Checkpoint folder": (objects(""), "a checkpoint of tf.train.Checkpoint", ".restore('{path}/ckpt-1')", ""),
    "frozen graph": (frozen("m.pb"), "a TensorFlow graph", SESSION_TAKES, "session"),
    "frozen graph in text": (frozen("m.pbtxt"), "a TensorFlow graph", SESSION_TAKES, "session"),
    "TFLite": (written("m.tflite", b"\0\0\0\x1cTFL3"), "a TensorFlow Lite model", "models/NAME/1/model.tflite", ""),
    "TFLite folder": (
        several("", ("m.tflite", b"\0\0\0\x1cTFL3")),
        "a folder with a TensorFlow Lite model",
        "cp {path}/m.tflite",
        "",
    ),
    "ONNX": (written("m.onnx", b"\x08\x07\x12\x07pytorch"), "an ONNX model", "onnx2tf", ""),
    "PyTorch zip": (zipped("m.pt", "archive/data.pkl"), "a PyTorch file", "convert it to a SavedModel", ""),
    "PyTorch pickle": (written("m.bin", pickle.dumps({}, 2)), "a PyTorch file", "convert it to a SavedModel", ""),
    "pickle": (written("m.pkl", pickle.dumps({}, 4)), "a Python pickle", "model.save('model.keras')", ""),
    "safetensors": (written("m.safetensors", TENSORS), "a safetensors file", "model.save('model.keras')", ""),
    "Hugging Face": (
        several("", ("config.json", b"{}"), ("model.safetensors", TENSORS)),
        "a folder of Hugging Face",
        "convert it",
        "",
    ),
    "TF.js": (written("model.json", TFJS), "a TensorFlow.js model", "tensorflowjs_converter", ""),
    "TF.js folder": (several("", ("model.json", TFJS)), "a TensorFlow.js model", "tensorflowjs_converter", ""),
    "TF.js weights": (
        several("g.bin", ("model.json", TFJS), ("g.bin", b"\xff\xfe\0")),
        "a TensorFlow.js model",
        "model.json",
        "",
    ),
    "npz": (zipped("m.npz", "a.npy"), "a file of numpy arrays (.npz)", "", ""),
    "zip of a SavedModel": (zipped("m.zip", "m/saved_model.pb"), "a zip archive of a SavedModel", "unzip {path}", ""),
    "tar": (written("m.tar.gz", b"\x1f\x8b\x08\0"), "a packed archive", "tar -xf {path}", ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_command_says_what_a_path_is(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write, what, advice, takers = KINDS[kind]
    path = write(tmp_path)
    monkeypatch.chdir(tmp_path)
    fields = {"path": path, "folder": path if kind == "SavedModel" else path.parent, "parents": path.parents}
    for command, (before, after, takes) in COMMANDS.items():
        if set(takes.split()) & set(takers.split()) or (kind == "Python file" and command == "function"):
            continue
        if (command == "function" and not path.exists()) or (command == "doctor" and path.is_dir()):
            continue
        with pytest.raises(SystemExit) as end:
            main([*before, str(path), *after])
        shown = capsys.readouterr()
        assert what.format(**fields) in shown.err, command
        assert advice.format(**fields) in shown.err, command
        assert (end.value.code, shown.out) == (3 if command in ("versions", "rollback") else 2, ""), command
        assert not (tmp_path / "out").exists()


def test_recognising_imports_neither_tensorflow_nor_numpy(tmp_path: Path) -> None:
    path = checkpoint("")(tmp_path)
    program = (
        "import sys; from tfx_export.recognise import recognise; from pathlib import Path\n"
        "print(recognise(Path(sys.argv[1])).what, sorted({'tensorflow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout == "a TF1 checkpoint []\n"


def test_the_printed_command_zips_a_keras_file_again(tmp_path: Path) -> None:
    keras_models.save("dense", "keras", tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        archive.extractall(tmp_path / "unzipped one")
    zip_again = recognise(tmp_path / "unzipped one").advice.splitlines()[0].removeprefix("Zip it again: ")
    subprocess.run(zip_again, shell=True, check=True)
    packed = inspect_keras_file(tmp_path / "unzipped one-packed.keras")
    assert packed.config == inspect_keras_file(tmp_path / "m.keras").config


def test_the_server_says_what_its_base_path_is(tmp_path: Path) -> None:
    from serve.lifecycle.misplaced import misplaced

    assert "a Git LFS pointer" in misplaced(KINDS["LFS pointer"][0](tmp_path), {})
    assert "is a TF1 checkpoint, not a folder of versions. To export it: " in misplaced(checkpoint("")(tmp_path), {})
