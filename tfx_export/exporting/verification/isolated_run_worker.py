"""The fresh process of `run_isolated`.

Imports TensorFlow if its argument says so, then reads the name of a folder on stdin. In that folder it reads job.json
and requests, and writes responses and report.json.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from tfx_export import wire
from tfx_export.exporting.tensorflow_errors import short_reason
from tfx_export.exporting.verification.loaded_model import SessionModel, load_lite_model
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE
from tfx_export.tensorflow_import import import_tensorflow, skip_unneeded_packages
from tfx_export.wire.tfrecord import read_records, write_records


def main(work: Path) -> None:
    job = json.loads((work / "job.json").read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    model = None if job["lite"] else SessionModel(folder, job["tags"])
    run = model.run if model else load_lite_model(folder)
    responses, errors = [], {}
    for index, record in enumerate(read_records(work / "requests")):
        request = wire.PredictRequest.FromString(record)
        response = wire.PredictResponse()
        try:
            inputs = {alias: tensor.decode(proto) for alias, proto in request.inputs.items()}
            for alias, array in run(request.model_spec.signature_name or DEFAULT_SIGNATURE, inputs).items():
                response.outputs[alias].CopyFrom(tensor.encode(array, as_content=True))
        except Exception as error:  # a runtime may raise anything for inputs that its model cannot take
            errors[index] = short_reason(error)
        responses.append(response.SerializeToString())
    write_records(work / "responses", responses)
    report = {"errors": errors, "low_precision": bool(model and model.low_precision)}
    (work / "report.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    skip_unneeded_packages(keras=False)
    if "tensorflow" in sys.argv[1:]:
        import_tensorflow()
    if folder := sys.stdin.readline().strip():  # empty if the process that started this one has ended
        main(Path(folder))
