"""Ask the written bytes: requests are run in a fresh process, by the Session loader or by LiteRT.

Nothing of the process that wrote the files can leak into the answers, and a model that kills its process kills only
that one.
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

# Arrays by the client's names.
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answers:
    """`outputs[i]` answers request i, by alias; empty where the model refused it, and `errors[i]` says why.

    `low_precision`: somewhere in the graph floats of 16 bits are computed or stored.
    """

    outputs: tuple[dict[str, np.ndarray], ...]
    errors: dict[int, str]
    low_precision: bool


def replayer() -> WorkerProcess:
    """A worker for `replay`, which imports TensorFlow meanwhile."""
    return WorkerProcess(_WORKER, "tensorflow")


def replay(
    folder: Path,
    requests: Iterable[wire.PredictRequest],
    *,
    tags: Sequence[str] = ("serve",),
    lite: bool = False,
    worker: WorkerProcess | None = None,
) -> Answers:
    """Run PredictRequests on the SavedModel in `folder`, or on the `model.tflite` in it if `lite`.

    A `replayer()` started before saves the time it needs to start; it can be used once.
    Raises VerificationError if the model cannot be loaded or its process dies.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-export-") as temporary, worker or WorkerProcess(_WORKER) as used:
        work = Path(temporary)
        write_records(work / "requests", (request.SerializeToString() for request in requests))
        job = {"folder": str(folder.absolute()), "tags": list(tags), "lite": lite}
        (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
        used.run(work, f"The model in {folder}")
        report = json.loads((work / "report.json").read_text(encoding="utf-8"))
        outputs = tuple(_outputs(record) for record in read_records(work / "answers"))
    errors = {int(index): text for index, text in report["errors"].items()}
    return Answers(outputs, errors, report["low_precision"])


def predict_request(signature: str, inputs: Arrays, model: str = "") -> wire.PredictRequest:
    """`inputs` as a PredictRequest."""
    request = wire.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(tensor.encode(array, as_content=True))
    return request


def _outputs(record: bytes) -> dict[str, np.ndarray]:
    response = wire.PredictResponse.FromString(record)
    return {alias: tensor.decode(proto) for alias, proto in response.outputs.items()}
