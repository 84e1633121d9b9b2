"""Models that programs of the tests write. Each program runs once, and its output is kept between test runs."""

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tfx_export.savedmodel.folder_locks import folder_lock

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "test-models"
# A change of these files or versions makes the programs run again.
SOURCES = ("tests/support", "tfx_export/exporting", "tfx_export/savedmodel", "tfx_export/wire")
LIBRARIES = ("tensorflow", "keras", "tf_keras", "ai-edge-litert", "protobuf", "numpy")
# Caches of earlier sources that stay, for switching between branches.
KEPT = 6


def build(module: str) -> Path:
    """Returns the folder that `python -m MODULE FOLDER` fills; runs it only if that was not done before. Read only."""
    place = CACHE / _key(module) / module
    place.mkdir(parents=True, exist_ok=True)
    folder, unfinished = place / "models", place / "unfinished"
    # The workers of xdist wait for each other.
    with folder_lock(place):
        if not folder.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            subprocess.run([sys.executable, "-m", module, str(unfinished)], check=True)
            unfinished.rename(folder)
            _remove_old_caches()
    return folder


@cache
def _key(module: str) -> str:
    """Returns a digest of everything on which the output of `module` depends."""
    program = ROOT / f"{module.replace('.', '/')}.py"
    sources = {path for source in SOURCES for path in (ROOT / source).rglob("*") if path.suffix in (".py", ".cc")}
    digest = hashlib.sha256()
    for file in sorted(sources | {program}):
        digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    for library in LIBRARIES:
        digest.update(_version(library).encode())
    return digest.hexdigest()[:16]


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _remove_old_caches() -> None:
    for old in sorted(CACHE.iterdir(), key=os.path.getmtime, reverse=True)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
