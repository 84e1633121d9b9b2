"""The folder of prepared versions: one entry (a folder) per version, written beside its place and renamed into it.

An entry is never changed after that. A file `<key>.lock` beside it is locked while the entry is being prepared.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from serve.config import Config
from tfx_export.savedmodel import export_record

# Part of every key: increase it when the format or the preparation changes.
FORMAT = 5
# Written last by `publish`; holds the size and the checksum of every other file of the entry.
MANIFEST = "manifest.json"
# What the child recorded.
DETAILS = "details.json"
# An entry that has not been loaded for this long is removed.
MAX_AGE_SECONDS = 30 * 24 * 3600.0
# The name of a draft begins with a dot and the key of its entry.
_DRAFT = re.compile(r"\.([0-9a-f]{40})\..+")
LOCK_POLL_SECONDS = 0.05
READ_BYTES = 1 << 20
# Environment variables that change how TensorFlow optimises.
_VARIABLES = ("TF_ENABLE_ONEDNN_OPTS",)


@dataclass(frozen=True)
class Entry:
    """A complete entry whose files have been verified. `details` is what the child recorded about it."""

    folder: Path
    details: dict[str, Any]


def root_folder(prepared_dir: str) -> Path:
    """`prepared_dir`, or the folder below the user's cache. Raises OSError if the user has no home folder."""
    if prepared_dir:
        return Path(prepared_dir)
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache, "tfx-export", "prepared")
    try:
        home = Path.home()
    except RuntimeError as error:
        raise OSError(str(error)) from None
    below = ("Library", "Caches") if sys.platform == "darwin" else (".cache",)
    return home.joinpath(*below, "tfx-export", "prepared")


def make_root(root: Path) -> None:
    """Creates the folder, for this user only. Raises OSError if it cannot be written, or if everybody can write it."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(root, os.W_OK | os.X_OK):
        raise OSError(f"{root} cannot be written")


def key_of(path: Path, config: Config) -> str:
    """The name of the entry for the version in `path`: a hash of everything that the result depends on.

    Weights are not read: the index of the variables holds a checksum of every tensor. Modification times do not count,
    so copies and hard links of a version share an entry. Assets are read when the model runs, but their paths are part
    of the graph. Raises OSError if a file cannot be read.
    """
    variables = {file.name: file.stat().st_size for file in (path / "variables").glob("*")}
    assets = [[str(file), *_stamp(file)] for file in sorted((path.resolve() / "assets").rglob("*")) if file.is_file()]
    custom = [[name, *_stamp(Path(name))] for name in config.op_library]
    custom += [[name, *_module_stamp(name)] for name in config.import_module]
    session_file = config.tensorflow_session_config_file
    parts = {
        "format": FORMAT,
        "tensorflow": _tensorflow_version(),
        "machine": [sys.platform, platform.machine(), *(os.environ.get(name) for name in _VARIABLES)],
        "files": export_record.file_hashes(path),
        "variables": variables,
        "assets": assets,
        "custom": custom,
        "tags": config.saved_model_tags,
        "session": [
            config.tensorflow_session_parallelism,
            config.tensorflow_intra_op_parallelism,
            config.tensorflow_inter_op_parallelism,
            export_record.sha256(Path(session_file)) if session_file else "",
        ],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def find(root: Path, key: str) -> Entry | None:
    """Returns the entry `key` if it is complete and undamaged. A use makes it young again."""
    folder = root / key
    try:
        if root.stat().st_mode & stat.S_IWOTH:
            raise OSError(f"{root} can be written by every user (chmod o-w)")
        for name, [size, checksum] in json.loads((folder / MANIFEST).read_bytes()).items():
            file = folder / name
            if file.stat().st_size != size or _checksum(file) != checksum:
                return None
        details = json.loads((folder / DETAILS).read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError):
        return None
    with contextlib.suppress(OSError):
        os.utime(folder / MANIFEST)
    return Entry(folder, details)


@contextlib.contextmanager
def locked(root: Path, key: str, check: Callable[[], None]) -> Iterator[None]:
    """Holds the lock of the entry `key`; waits for it, and calls `check` while waiting. A process's end releases it."""
    check()
    while (lock := _try_lock(root, key)) is None:
        time.sleep(LOCK_POLL_SECONDS)
        check()
    with lock:
        yield


def remove_abandoned_drafts(root: Path) -> None:
    """Removes the drafts of processes that have ended: their entries are not locked any more."""
    with contextlib.suppress(OSError):
        for folder in [*root.iterdir()]:
            if (match := _DRAFT.fullmatch(folder.name)) and (lock := _try_lock(root, match[1])):
                with lock:
                    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def draft(root: Path, key: str) -> Iterator[Path]:
    """A new empty folder beside the entries, removed at the end unless it was published. Hold the lock."""
    for left in root.glob(f".{key}.*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, root: Path, key: str) -> Entry:
    """Renames a draft into its place. A damaged entry there is removed. Hold the lock."""
    details = json.loads((folder / DETAILS).read_bytes())
    files = {file.name: [file.stat().st_size, _checksum(file)] for file in folder.iterdir() if file.is_file()}
    (folder / MANIFEST).write_text(json.dumps(files))
    for file in folder.iterdir():
        file.chmod(0o400)
    target = root / key
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)
    return Entry(target, details)


def evict(root: Path, max_bytes: int, keep: str) -> None:
    """Removes the entries that are old, then the least recently used ones until the rest takes at most `max_bytes`.

    `keep` stays, and 0 lifts the limit. Models that are being served keep the files that they have mapped.
    """
    now = time.time()
    entries = []
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            if folder.is_dir() and not folder.name.startswith(".") and folder.name != keep:
                used = (folder / MANIFEST).stat().st_mtime
                entries.append((used, sum(file.stat().st_size for file in folder.iterdir()), folder))
    total = sum(size for _, size, _ in entries) + sum(file.stat().st_size for file in (root / keep).iterdir())
    for used, size, folder in sorted(entries):
        # An entry whose lock is held is being prepared anew.
        if (now - used > MAX_AGE_SECONDS or 0 < max_bytes < total) and (lock := _try_lock(root, folder.name)):
            with lock:
                shutil.rmtree(folder, ignore_errors=True)
                _lock_file(root, folder.name).unlink(missing_ok=True)
            total -= size


def _lock_file(root: Path, key: str) -> Path:
    return root / f"{key}.lock"


def _try_lock(root: Path, key: str) -> IO[bytes] | None:
    """Returns the lock file of the entry `key`, open and locked; None if another thread or process holds the lock.

    Raises OSError if the system or the file system has no locks, or the file cannot be created.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError("this system has no file locks") from None
    file = _lock_file(root, key)
    handle = file.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # `evict` may have removed the file before the lock was taken.
        if os.path.samestat(os.fstat(handle.fileno()), file.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        handle.close()
        raise
    handle.close()
    return None


def _checksum(file: Path) -> int:
    """The CRC-32 of a file: it finds damage, and takes a third of the time of a SHA-256.

    It need not resist forgery: a user who can write the file can write the manifest, too.
    """
    checksum = 0
    with file.open("rb") as stream:
        while part := stream.read(READ_BYTES):
            checksum = zlib.crc32(part, checksum)
    return checksum


def _stamp(file: Path) -> list[int]:
    try:
        found = file.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _module_stamp(name: str) -> list[Any]:
    try:
        spec = find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    return [spec.origin, *_stamp(Path(spec.origin))] if spec and spec.origin else []


def _tensorflow_version() -> str:
    for name in ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tf-nightly"):
        with contextlib.suppress(PackageNotFoundError):
            return f"{name} {version(name)}"
    return ""
