"""The process in which `accelerate` converts, because the converter writes to stderr and sometimes aborts.

Reads the name of a folder on stdin. In that folder it reads job.json (folder, tags, signatures, precision) and, for a
calibrated int8 model, requests. It writes model.tflite, or the reason into `refusal` if the converter refuses.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from tfx_export.tensorflow_import import import_tensorflow, skip_unneeded_packages

skip_unneeded_packages(keras=False)
import_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfx_export import wire  # noqa: E402
from tfx_export.savedmodel import reader, tensor  # noqa: E402
from tfx_export.savedmodel.export_record import TFLITE  # noqa: E402
from tfx_export.wire.tfrecord import read_records  # noqa: E402

_INIT_SIGNATURE = "__saved_model_init_op"
# Collections with the ops that run when a SavedModel is loaded.
_INITIALIZERS = {"saved_model_main_op", "legacy_init_op", "table_initializer", "saved_model_assets", "asset_filepaths"}
_MISSING_OPS = re.compile(r"^(?:TF Select|Custom) ops: (.+)$", re.MULTILINE)


def main(work: Path) -> None:
    job = json.loads((work / "job.json").read_text(encoding="utf-8"))
    folder = _without_unused_tables(Path(job["folder"]), job["tags"], job["signatures"], work / "pruned")
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder), signature_keys=job["signatures"], tags=set(job["tags"])
    )
    if job["precision"] != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if job["precision"] == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if job["precision"] == "int8" and (work / "requests").exists():
        converter.representative_dataset = _calibration(work / "requests")
    try:
        (work / TFLITE).write_bytes(converter.convert())
    except Exception as error:  # the converter and its passes may raise anything
        (work / "refusal").write_text(_reason(error), encoding="utf-8")


def _without_unused_tables(folder: Path, tags: list[str], signatures: list[str], copy: Path) -> Path:
    """Returns a copy of the SavedModel that initialises no tables if `signatures` use none, else `folder` itself.

    The converter converts the initialisers with every signature, and has no operators for most of them.
    """
    index = reader.read_index(folder)
    meta = reader.find_meta_graph(index, tags)
    graph = tf.compat.v1.GraphDef.FromString(meta.graph_def)
    outputs = [spec.name for name in signatures for spec in meta.signature_def[name].outputs.values()]
    needed = tf.compat.v1.graph_util.extract_sub_graph(graph, [name.partition(":")[0] for name in outputs])
    if meta.object_graph_def or not _has_tables(graph) or _has_tables(needed):
        return folder
    for collection in _INITIALIZERS & set(meta.collection_def):
        del meta.collection_def[collection]
    if _INIT_SIGNATURE in meta.signature_def:
        del meta.signature_def[_INIT_SIGNATURE]
    copy.mkdir()
    (copy / reader.BINARY).write_bytes(index.SerializeToString())
    if (folder / "variables").is_dir():
        shutil.copytree(folder / "variables", copy / "variables", copy_function=_link)
    return copy


def _has_tables(graph: tf.Graph) -> bool:
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return any("HashTable" in node.op or node.op.startswith("LookupTable") for node in nodes)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _calibration(requests: Path) -> Callable[[], Iterator[tuple[str, dict[str, np.ndarray]]]]:
    def examples() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for record in read_records(requests):
            request = wire.PredictRequest.FromString(record)
            inputs = {alias: tensor.decode(proto) for alias, proto in request.inputs.items()}
            yield request.model_spec.signature_name, inputs

    return examples


def _reason(error: Exception) -> str:
    text = str(error)
    missing = dict.fromkeys(name for found in _MISSING_OPS.findall(text) for name in found.split(", "))
    if missing:
        return f"LiteRT has no operator {', '.join(missing)}"
    if refused := re.search(r"'tf\.(\w+)' op (.+)", text):
        return f"{refused[1]}: {refused[2]}"[:300]
    return next(iter(text.strip().splitlines()), type(error).__name__)[:300]


if __name__ == "__main__":
    main(Path(sys.stdin.readline().strip()))
