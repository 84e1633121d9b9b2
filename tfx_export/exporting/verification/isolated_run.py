"""Runs requests on a written model in a fresh process, by the Session loader or by LiteRT.

Nothing from the process that wrote the files can affect the outputs, and a model that crashes its process does not
crash this one.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfx_export import wire
from tfx_export.exporting.worker_process import WorkerProcess
from tfx_export.savedmodel import tensor
from tfx_export.wire.tfrecord import read_records, write_records

_WORKER = "tfx_export.exporting.verification.isolated_run_worker"

# Arrays by the aliases of a signature.
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class RunResults:
    """`outputs[i]` belongs to request i, by alias; if the model refused it, that is empty and `errors[i]` says why.

    `low_precision` is whether any op of the graph computes or stores 16-bit floats.
    """

    outputs: tuple[dict[str, np.ndarray], ...]
    errors: dict[int, str]
    low_precision: bool


def start_run_worker() -> WorkerProcess:
    """Starts a worker for `run_isolated`, which imports TensorFlow while this process goes on."""
    return WorkerProcess(_WORKER, "tensorflow")


def run_isolated(
    folder: Path,
    requests: Iterable[wire.PredictRequest],
    *,
    tags: Sequence[str] = ("serve",),
    lite: bool = False,
    worker: WorkerProcess | None = None,
) -> RunResults:
    """Runs PredictRequests on the SavedModel in `folder`, or on its `model.tflite` if `lite`.

    `worker`, from `start_run_worker`, saves the time that a new process needs to start; it can be used once.
    Raises VerificationError if the model does not load or its process dies.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-export-") as temporary, worker or WorkerProcess(_WORKER) as process:
        work = Path(temporary)
        write_records(work / "requests", (request.SerializeToString() for request in requests))
        job = {"folder": str(folder.absolute()), "tags": list(tags), "lite": lite}
        (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
        process.run(work, f"The model in {folder}")
        report = json.loads((work / "report.json").read_text(encoding="utf-8"))
        outputs = tuple(_outputs(record) for record in read_records(work / "responses"))
    errors = {int(index): text for index, text in report["errors"].items()}
    return RunResults(outputs, errors, report["low_precision"])


def predict_request(signature: str, inputs: Arrays, model: str = "") -> wire.PredictRequest:
    """Returns `inputs` as a PredictRequest."""
    request = wire.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(tensor.encode(array, as_content=True))
    return request


def _outputs(record: bytes) -> dict[str, np.ndarray]:
    response = wire.PredictResponse.FromString(record)
    return {alias: tensor.decode(proto) for alias, proto in response.outputs.items()}
