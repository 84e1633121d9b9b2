"""The process that `accelerate` converts in: the converter writes to stderr as it likes, and sometimes aborts.

Reads job.json (folder, tags, signatures, precision) and, for a calibrated int8 model, requests; writes model.tflite.
Leaves the reason in `refusal` if the converter says no.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf

from tfx_export import wire
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.record import TFLITE
from tfx_export.wire.tfrecord import read_records

_MISSING_OPS = re.compile(r"^(?:TF Select|Custom) ops: (.+)$", re.MULTILINE)


def main(work: Path) -> None:
    job = json.loads((work / "job.json").read_text(encoding="utf-8"))
    converter = tf.lite.TFLiteConverter.from_saved_model(
        job["folder"], signature_keys=job["signatures"], tags=set(job["tags"])
    )
    if job["precision"] != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if job["precision"] == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if job["precision"] == "int8" and (work / "requests").exists():
        converter.representative_dataset = _calibration(work / "requests")
    try:
        (work / TFLITE).write_bytes(converter.convert())
    except Exception as error:  # the converter's own, and what its passes raise
        (work / "refusal").write_text(_reason(error), encoding="utf-8")


def _calibration(requests: Path) -> Callable[[], Iterator[tuple[str, dict[str, np.ndarray]]]]:
    def examples() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for record in read_records(requests):
            request: Any = wire.PredictRequest.FromString(record)
            inputs = {alias: tensor.decode(proto) for alias, proto in request.inputs.items()}
            yield request.model_spec.signature_name, inputs

    return examples


def _reason(error: Exception) -> str:
    text = str(error)
    missing = dict.fromkeys(name for found in _MISSING_OPS.findall(text) for name in found.split(", "))
    if missing:
        return f"LiteRT has no operator {', '.join(missing)}"
    return next(iter(text.strip().splitlines()), type(error).__name__)[:300]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
