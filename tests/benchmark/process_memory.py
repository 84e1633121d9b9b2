"""The memory of a process and its descendants, read from Linux's /proc."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

SAMPLE_SECONDS = 0.05
# Memory has settled when the anonymous part in the readings of this many seconds varies by at most SETTLED_SHARE.
SETTLED_SECONDS = 2.0
SETTLED_SHARE = 0.01
MAX_SETTLING_SECONDS = 30.0


@dataclass(frozen=True)
class Memory:
    """The proportional set size (Pss) of all processes in MB (10^6 bytes), and the part of it that no file backs.

    A page that N processes map counts 1/N in each of them. The page cache counts only where a process maps it. Other
    programs that map TensorFlow's libraries take a share of their pages, so the machine should run none.
    """

    total: float
    anonymous: float

    def __sub__(self, other: "Memory") -> "Memory":
        return Memory(self.total - other.total, self.anonymous - other.anonymous)


def read_memory(pid: int) -> Memory:
    """Returns the memory of a process and all its descendants."""
    total = anonymous = 0
    for each in _family(pid):
        # A process may end at any time, for example the one that prepares a version.
        with suppress(OSError):
            sizes = dict(line.split(":") for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:])
            total += int(sizes["Pss"].split()[0])
            anonymous += int(sizes["Pss_Anon"].split()[0])
    return Memory(total * 1024 / 1e6, anonymous * 1024 / 1e6)


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text().split():
                    yield from _family(int(child))


def other_tensorflow_processes() -> list[int]:
    """Returns the ids of the processes that map TensorFlow's libraries, except this process and its descendants."""
    own = {*_family(os.getpid())}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        # It may belong to another user, or end at any time.
        with suppress(OSError):
            if int(folder.name) not in own and "libtensorflow" in (folder / "maps").read_text(errors="replace"):
                found.append(int(folder.name))
    return found


@dataclass
class MemorySampler:
    """Samples the memory of a process and its descendants in a thread, while its `with` block runs.

    A sample takes 10 to 50 ms of CPU time, more for larger processes, so nothing is timed during that.
    """

    pid: int
    # The time of each sample by time.monotonic(), and the memory.
    samples: list[tuple[float, Memory]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._ended.is_set():
            self.samples.append((time.monotonic(), read_memory(self.pid)))
            self._ended.wait(SAMPLE_SECONDS)

    def peak(self) -> float:
        """Returns the largest total of all samples, in MB."""
        return max(memory.total for _, memory in self.samples)

    def __enter__(self) -> "MemorySampler":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()


def settled_memory(pid: int) -> Memory:
    """Returns the memory once it no longer changes, or after MAX_SETTLING_SECONDS: allocators return it late."""
    readings: list[tuple[float, Memory]] = []
    deadline = time.monotonic() + MAX_SETTLING_SECONDS
    while time.monotonic() < deadline:
        readings.append((time.monotonic(), read_memory(pid)))
        recent = [memory.anonymous for at, memory in readings if at > readings[-1][0] - SETTLED_SECONDS]
        if len(recent) < len(readings) and max(recent) - min(recent) <= SETTLED_SHARE * max(recent):
            break
        time.sleep(5 * SAMPLE_SECONDS)
    return readings[-1][1]
