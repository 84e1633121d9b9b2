"""The fresh process of `replay`: reads job.json and requests from the folder given, writes answers and report.json."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

from tfx_export import wire
from tfx_export.exporting.replay import Arrays
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.record import TFLITE
from tfx_export.wire.tfrecord import read_records, write_records

Run = Callable[[str, Arrays], dict[str, np.ndarray]]


def main(work: Path) -> None:
    job = json.loads((work / "job.json").read_text(encoding="utf-8"))
    run, low_precision = _lite(job) if job["lite"] else _session(job)
    answers, errors = [], {}
    for index, record in enumerate(read_records(work / "requests")):
        response = wire.PredictResponse()
        try:
            for alias, array in _answer(run, wire.PredictRequest.FromString(record)).items():
                response.outputs[alias].CopyFrom(tensor.encode(array, as_content=True))
        except Exception as error:  # whatever the runtime raises for inputs its model cannot take
            errors[index] = str(getattr(error, "message", error))
        answers.append(response.SerializeToString())
    write_records(work / "answers", answers)
    (work / "report.json").write_text(json.dumps({"errors": errors, "low_precision": low_precision}), encoding="utf-8")


def _answer(run: Run, request: wire.Message) -> dict[str, np.ndarray]:
    inputs = {alias: tensor.decode(proto) for alias, proto in request.inputs.items()}
    return run(request.model_spec.signature_name or "serving_default", inputs)


def _session(job: dict[str, Any]) -> tuple[Run, bool]:
    import tensorflow as tf

    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        session = v1.Session(graph=graph)
        definition = v1.saved_model.loader.load(session, job["tags"], job["folder"]).signature_def

    def run(name: str, inputs: Arrays) -> dict[str, np.ndarray]:
        signature = definition.get(name)
        if signature is None or set(inputs) - set(signature.inputs):
            raise ValueError(f"no signature {name!r} with inputs {sorted(inputs)}")
        feeds = {signature.inputs[alias].name: array for alias, array in inputs.items()}
        fetched = session.run({alias: info.name for alias, info in signature.outputs.items()}, feeds)
        return {alias: np.asarray(value) for alias, value in fetched.items()}

    half = {tf.float16, tf.bfloat16}
    return run, any(output.dtype.base_dtype in half for op in graph.get_operations() for output in op.outputs)


def _lite(job: dict[str, Any]) -> tuple[Run, bool]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(Path(job["folder"]) / TFLITE))

    def run(name: str, inputs: Arrays) -> dict[str, np.ndarray]:
        outputs: dict[str, np.ndarray] = interpreter.get_signature_runner(name)(**inputs)
        return outputs

    return run, False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
