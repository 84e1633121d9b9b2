"""Runs the child process that prepares a version: starts it, watches its time and memory, explains its end."""

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from serve.config import Config
from serve.engines.free_memory import free_bytes
from serve.errors import Code, ServeError

MODULE = "serve.engines.preparation.worker"
# The child may use this share of the memory that is free when it starts.
FREE_MEMORY_SHARE = 0.8
WATCH_SECONDS = 0.05
# Signals by which a program ends because of its own fault.
CRASHES = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGFPE, signal.SIGILL})
# The end of the child's messages that is searched for a reason.
MAX_MESSAGES = 64 << 10
MAX_REASON = 500

# A failed check of TensorFlow: `F0000 00:00:1700000000.000000 42 file.cc:21] Check failed: ...`, or
# `2026-11-30 12:00:00.000000: F file.cc:21] Check failed: ...`.
_FATAL = re.compile(r"^(?:F\d{4} |\S+ \S+: F |.*\bF ).*?\] (.*)$", re.MULTILINE)


class PreparationError(Exception):
    """The SavedModel could be loaded, but not prepared. The text says why.

    `repeats` tells whether it would fail again: if the cause was not a limit, a lack of space, or a kill.
    """

    def __init__(self, text: str, *, repeats: bool = False) -> None:
        super().__init__(text)
        self.repeats = repeats


@dataclass
class _Progress:
    """What the child has told: the stage it has reached, and its result or error."""

    stage: str = "starting"
    done: bool = False
    failed: str = ""
    repeats: bool = False
    error: ServeError | None = None

    def take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            # Something else writes to stdout before the program takes it: a sitecustomize module, for example.
            return
        self.stage = message.get("stage", self.stage)
        self.done = message.get("done", self.done)
        self.failed = message.get("failed", self.failed)
        self.repeats = message.get("repeats", self.repeats)
        if "code" in message:
            self.error = ServeError(Code(message["code"]), message["message"])


def check_running(stopping: threading.Event) -> None:
    """Raises ServeError once the server stops."""
    if stopping.is_set():
        # Not one of the codes after which the manager tries again.
        raise ServeError(Code.CANCELLED, "The server stops")


def run(path: Path, config: Config, folder: Path, stopping: threading.Event, *, as_it_is: bool = False) -> None:
    """Prepares the version in `path` in a child process, which writes to the empty `folder`. Blocks until `stopping`.

    `as_it_is` only loads the version as a server does without its preparation, and tries out its signatures.

    Raises ServeError if the SavedModel cannot be loaded, PreparationError if anything else goes wrong.
    """
    limit = config.max_prepare_bytes or int(FREE_MEMORY_SHARE * free_bytes())
    with _temporary_file() as messages:
        with _started(messages) as process:
            request = {"path": str(path), "folder": str(folder), "config": asdict(config), "max_bytes": limit}
            request["as_it_is"] = as_it_is
            progress = _Progress()
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it has ended already, as the watch will find
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            # It stays open: at its end the child knows that its parent has ended.
            reason = _watch(process, progress, limit, config.max_prepare_seconds, stopping)
        check_running(stopping)
        if progress.error:
            raise progress.error
        if progress.done and not reason:
            return
        failure = progress.failed or reason or _explain(process.returncode, messages)
    text = " ".join(f"{progress.stage} {failure}".split())  # one line
    # Some checks of TensorFlow end the process with an exit code.
    exited = process.returncode > 0 and not progress.failed
    crashed = progress.stage != "starting" and not reason and (exited or -process.returncode in CRASHES)
    if progress.stage == "trying" and not crashed:
        return  # everything is written
    # A limit of this attempt is not one of the server.
    if crashed if as_it_is else progress.stage == "loading":
        raise ServeError(Code.INTERNAL, text)
    raise PreparationError(text, repeats=progress.repeats or crashed)


def _temporary_file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise PreparationError(f"no temporary file for the child's messages: {error}") from None


@contextlib.contextmanager
def _started(messages: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)}
    # The working folder is not searched for modules, except where the server does so.
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    try:
        process = subprocess.Popen(
            [_interpreter(), *safe, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            env=environment,
            # A Ctrl-C at the terminal is for the server.
            start_new_session=True,
        )
    except OSError as error:
        raise PreparationError(f"the child process cannot be started: {error}") from None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


def _interpreter() -> str:
    """The Python to start. Inside Envoy, sys.executable does not name one."""
    if Path(sys.executable or "").name.startswith("python"):
        return sys.executable
    return str(Path(sys.prefix, "bin", "python3"))


def _watch(
    process: "subprocess.Popen[bytes]",
    progress: _Progress,
    max_bytes: int,
    max_seconds: float,
    stopping: threading.Event,
) -> str:
    """Follows the child to its end, or until `stopping`. Returns which limit it exceeded, or an empty string."""
    deadline = time.monotonic() + max_seconds if max_seconds else float("inf")
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not stopping.is_set():
            if selector.select(WATCH_SECONDS):
                received = process.stdout.read()
                if received == b"":
                    process.wait()
                    return ""
                *lines, pending = (pending + (received or b"")).split(b"\n")
                for line in lines:
                    progress.take(line)
            if time.monotonic() > deadline:
                return f"took more than {max_seconds:g} seconds (--max_prepare_seconds)"
            if (used := _private_bytes(process.pid)) > max_bytes:
                return f"took {used >> 20} MB of memory, more than {max_bytes >> 20} MB (--max_prepare_bytes)"
    return ""


def _private_bytes(pid: int) -> int:
    """The memory of the process that is not shared with others or backed by files; 0 if it has ended."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))


def _explain(status: int, messages: IO[bytes]) -> str:
    """How a child ended: `was ended by SIGABRT: Check failed: ...`."""
    messages.seek(max(0, messages.seek(0, os.SEEK_END) - MAX_MESSAGES))
    text = messages.read().decode(errors="replace")
    fatal = _FATAL.findall(text)
    lines = [line for line in text.splitlines() if line.strip()]
    if status < 0:
        ended = f"ended by {signal.Signals(-status).name}"
        return f"{ended}: {fatal[-1][:MAX_REASON]}" if fatal else ended
    ended = f"ended with exit code {status}"
    return f"{ended}: {lines[-1][:MAX_REASON]}" if lines else ended
