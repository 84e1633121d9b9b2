"""Runs work in a separate Python process, which may crash or write to stderr without harming this one."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tfx_export.errors import VerificationError


class WorkerProcess:
    """A new Python process that runs the worker module `module` (a dotted name). Leaving the context ends it.

    The process imports `libraries` at once and then waits for its work, so it can be started before the work is ready.
    """

    def __init__(self, module: str, *libraries: str) -> None:
        # -P: the working directory is not searched, so that no file of the user's shadows a library.
        safe = ["-P"] if sys.version_info >= (3, 11) else []
        self._process = subprocess.Popen(
            [sys.executable, *safe, "-m", module, *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def run(self, work: Path, what: str) -> None:
        """Runs the worker on the folder `work`; a worker runs once.

        `what` names the model in messages. Raises VerificationError with the last lines of stderr if the process fails.
        """
        _, stderr = self._process.communicate(f"{work}\n".encode())
        code = self._process.returncode
        if code == 0:
            return
        lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
        if code < 0:
            raise VerificationError(
                f"{what} killed its process with signal {-code} when it was loaded and run.", hint="\n".join(lines[-3:])
            )
        raise VerificationError(f"{what} does not load and run in a fresh process.", hint="\n".join(lines[-3:]))

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
