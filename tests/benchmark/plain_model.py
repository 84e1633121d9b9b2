"""A process that loads a SavedModel with tf.saved_model.load and calls its signature: the baseline for memory.

As a program it loads and calls a tiny model first, so that TensorFlow has started:

    python -m tests.benchmark.plain_model TINY_VERSION TINY_REQUEST VERSION REQUEST ...

Each REQUEST is a file with a serialized PredictRequest. The program then prints a line, and another one after it has
done what a line on stdin says: `load` loads VERSION and prints the seconds, `call` sends each request twice.
"""

import gc
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark.testbed import environment
from tfx_export.bench.plain_signature import signature_call
from tfx_export.load.generator import LoadError
from tfx_export.tensorflow_import import import_tensorflow


@dataclass(frozen=True)
class PlainModel:
    """The running process."""

    process: "subprocess.Popen[str]"

    @property
    def pid(self) -> int:
        return self.process.pid

    def load(self) -> float:
        """Loads the model, and drops it if it was loaded before. Returns the seconds."""
        return float(self._do("load"))

    def call(self) -> None:
        """Calls the signature with each request twice."""
        self._do("call")

    def _do(self, command: str) -> str:
        assert self.process.stdin
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.wait()

    def wait(self) -> str:
        """Returns the next line that the process prints. Raises LoadError if it ends instead."""
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return line
        raise LoadError(f"The plain SavedModel ended with exit code {self.process.wait()}")


@contextmanager
def plain_model(tiny: tuple[Path, Path], version: Path, requests: Sequence[Path]) -> Iterator[PlainModel]:
    """Runs the process; `tiny` is the version and the request of the tiny model. Yields once that was called."""
    arguments = [*tiny, version, *requests]
    command = [sys.executable, "-m", "tests.benchmark.plain_model", *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        try:
            plain = PlainModel(process)
            plain.wait()
            yield plain
        finally:
            process.kill()


def main(tiny: str, tiny_request: str, version: str, *requests: str) -> None:
    import_tensorflow()
    import tensorflow as tf

    def answer(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    tiny_model = tf.saved_model.load(tiny)
    signature_call(tiny_model, Path(tiny_request))()
    answer("ready")
    loaded = None
    for line in sys.stdin:
        if line.strip() == "load":
            loaded = None
            gc.collect()
        started = time.perf_counter()
        if loaded is None:
            loaded = tf.saved_model.load(version)
        else:
            for request in requests:
                call = signature_call(loaded, Path(request))
                call()
                call()
        answer(str(time.perf_counter() - started))


if __name__ == "__main__":
    main(*sys.argv[1:])
