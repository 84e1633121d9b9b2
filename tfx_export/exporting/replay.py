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
from types import TracebackType

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


class Worker:
    """A fresh Python that runs a worker module of this package. Leaving it, a context manager, ends it.

    It imports `libraries` at once and then waits for its work: it can be started before the work is ready.
    """

    def __init__(self, module: str, *libraries: str) -> None:
        # -P: no file of the user's in the working directory may shadow a library.
        safe = ["-P"] if sys.version_info >= (3, 11) else []
        self._process = subprocess.Popen(
            [sys.executable, *safe, "-m", f"{__package__}.{module}", *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def run(self, work: Path, what: str) -> None:
        """Have it work on the folder `work`, once. Raises VerificationError with the last it said."""
        _, stderr = self._process.communicate(f"{work}\n".encode())
        code = self._process.returncode
        if code == 0:
            return
        said = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
        if code < 0:
            raise VerificationError(
                f"{what} killed its process with signal {-code} when it was loaded and run.", hint="\n".join(said[-3:])
            )
        raise VerificationError(f"{what} does not load and run in a fresh process.", hint="\n".join(said[-3:]))

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def replayer() -> Worker:
    """A worker for `replay`, which imports TensorFlow meanwhile."""
    return Worker("replay_worker", "tensorflow")


def replay(
    folder: Path,
    requests: Iterable[wire.Message],
    *,
    tags: Sequence[str] = ("serve",),
    lite: bool = False,
    worker: Worker | None = None,
) -> Answers:
    """Run PredictRequests on the SavedModel in `folder`, or on the `model.tflite` in it if `lite`.

    A `replayer()` started before saves the time it needs to start; it can be used once.
    Raises VerificationError if the model cannot be loaded or its process dies.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-export-") as temporary, worker or Worker("replay_worker") as used:
        work = Path(temporary)
        write_records(work / "requests", (request.SerializeToString() for request in requests))
        job = {"folder": str(folder.absolute()), "tags": list(tags), "lite": lite}
        (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
        used.run(work, f"The model in {folder}")
        report = json.loads((work / "report.json").read_text(encoding="utf-8"))
        outputs = tuple(_outputs(record) for record in read_records(work / "answers"))
    errors = {int(index): text for index, text in report["errors"].items()}
    return Answers(outputs, errors, report["low_precision"])


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
