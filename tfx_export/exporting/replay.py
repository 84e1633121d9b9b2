"""Ask the written bytes: requests are run in a fresh process, by the Session loader or by LiteRT.

Nothing of the process that wrote the files can leak into the answers, and a model that kills its process kills only
that one.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfx_export import wire
from tfx_export.errors import VerificationError
from tfx_export.savedmodel import tensor
from tfx_export.wire.tfrecord import read_records, write_records

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


def replay(
    folder: Path, requests: Iterable[wire.Message], *, tags: Sequence[str] = ("serve",), lite: bool = False
) -> Answers:
    """Run PredictRequests on the SavedModel in `folder`, or on the `model.tflite` in it if `lite`.

    Raises VerificationError if it cannot be loaded or its process dies.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-export-") as temporary:
        work = Path(temporary)
        write_records(work / "requests", (request.SerializeToString() for request in requests))
        job = {"folder": str(folder.absolute()), "tags": list(tags), "lite": lite}
        (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
        run_worker("replay_worker", work, f"The model in {folder}")
        report = json.loads((work / "report.json").read_text(encoding="utf-8"))
        outputs = tuple(_outputs(record) for record in read_records(work / "answers"))
    errors = {int(index): text for index, text in report["errors"].items()}
    return Answers(outputs, errors, report["low_precision"])


def run_worker(module: str, work: Path, what: str) -> None:
    """Run a worker module of this package on the folder `work`. Raises VerificationError with the last it said."""
    # -P: no file of the user's in the working directory may shadow a library.
    command = [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else []), "-m", f"{__package__}.{module}"]
    done = subprocess.run([*command, str(work)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode == 0:
        return
    said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    if done.returncode < 0:
        raise VerificationError(
            f"{what} killed its process with signal {-done.returncode} when it was loaded and run.",
            hint="\n".join(said[-3:]),
        )
    raise VerificationError(f"{what} does not load and run in a fresh process.", hint="\n".join(said[-3:]))


def predict_request(signature: str, inputs: Arrays, model: str = "") -> wire.Message:
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
