"""Prepares versions for the TensorFlow engine in a child process, so that no model can end the server.

A version is frozen and optimised once, in a child process, and the result is kept in the folder `--prepared_dir`:
workers, restarts and other servers use it without a child. This package does not import TensorFlow, except `worker`,
the program that the child runs, and the modules that only `worker` imports.
"""

import contextlib
import functools
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from serve.config import Config
from serve.engines.preparation import cache, child, contents
from serve.engines.preparation.cache import Entry
from serve.engines.tensorflow_setup import set_environment
from serve.errors import Code, ServeError

__all__ = ["Outcome", "lower_priority", "prepare"]

logger = logging.getLogger("serve")

# Added to the niceness of the thread, which its child inherits.
NICENESS = 10


def lower_priority() -> None:
    """Lowers the priority of the calling thread, on Linux: requests come first.

    Checking 350 MB of weights takes a processor for 0.3 s, and the threads of a run wait for each other.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # the system does not allow it
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


@dataclass(frozen=True)
class Outcome:
    """The prepared version, or None if the SavedModel is served as it is; `reason` then says why.

    `seconds` is the time that the preparation took, in a child of this process or of another one; None if the version
    was found prepared.
    """

    entry: Entry | None
    reason: str = ""
    seconds: float | None = None


def prepare(path: Path, config: Config, stopping: threading.Event) -> Outcome:
    """Returns the prepared version of the SavedModel in `path`; prepares it if no folder has it yet. Blocks.

    Raises ServeError if the SavedModel cannot be loaded, and once the server is `stopping`. If anything else fails, the
    SavedModel is served as it is.
    """
    # It is part of the key, and the child inherits it.
    set_environment()
    try:
        root = cache.root_folder(config.prepared_dir)
        _clean(root)
        key = cache.key_of(path, config)
        if entry := cache.find(root, key):
            return _found(entry)
        cache.make_root(root)
        started = time.monotonic()
        with cache.locked(root, key, lambda: child.check_running(stopping)):
            # Another process may have prepared it in the meantime.
            if entry := cache.find(root, key):
                return _found(entry, seconds=time.monotonic() - started)
            return _prepare_now(path, config, root, key, stopping)
    except OSError as error:
        if not path.is_dir():
            raise ServeError(Code.NOT_FOUND, f"{path} does not exist") from None
        return Outcome(None, f"--prepared_dir cannot be used: {error}")


def _found(entry: Entry, seconds: float | None = None) -> Outcome:
    failure = contents.failure(entry)
    return Outcome(None if failure else entry, failure, seconds)


def _prepare_now(path: Path, config: Config, root: Path, key: str, stopping: threading.Event) -> Outcome:
    started = time.monotonic()
    with cache.draft(root, key) as folder:
        try:
            child.run(path, config, folder, stopping)
        except child.PreparationError as failure:
            if failure.repeats:  # not every worker and every restart should find it out anew
                _try_as_it_is(path, config, folder, stopping)
                contents.write_failure(folder, str(failure))
                cache.publish(folder, root, key)
            return Outcome(None, str(failure), time.monotonic() - started)
        entry = cache.publish(folder, root, key)
    seconds = time.monotonic() - started
    logger.info("Prepared %s in %.1f s", path, seconds)
    cache.remove_abandoned_drafts(root)
    cache.evict(root, config.max_prepared_bytes, keep=key)
    return Outcome(entry, seconds=seconds)


def _try_as_it_is(path: Path, config: Config, folder: Path, stopping: threading.Event) -> None:
    """Raises ServeError if the version ends a child process without the preparation, too: it would end the server."""
    with contextlib.suppress(child.PreparationError):
        child.run(path, config, folder, stopping, as_it_is=True)


@functools.cache
def _clean(root: Path) -> None:
    """Removes, once per process, the drafts that killed processes have left."""
    cache.remove_abandoned_drafts(root)
