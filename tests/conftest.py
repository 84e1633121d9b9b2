"""Fixtures that many test modules share."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serve.fronts.native import embedded_python as interpreter
from tests.support.server import RunningServer, running
from tfx_export.savedmodel.folder_locks import folder_lock

# A thousand programs of ours are started: 0.2 seconds each would go by with compiling what the last one compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure() -> None:
    """What a shell without job control starts in the background ignores Ctrl-C, and so would what tests start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# First: xdist reads the groups in a hook of the same name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For runs in parallel: a worker for each front, so that servers are shared; all else by files, examples singly.

    The largest pieces come first, so that no worker has a long one left when the others are done.
    """
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    slow = {group for item, group in groups.items() if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> int:
        front, heavy = groups[item] in ("python", "native"), item.nodeid.startswith(("tests/export/", "tests/cli/"))
        return 0 if front else 1 if groups[item] in slow else 2 if heavy else 3

    items.sort(key=rank)


def _group(item: pytest.Item) -> str:
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    file = item.nodeid.partition("::")[0]
    return str(parameters.get("front") or (item.nodeid if file.startswith("tests/examples/") else file))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`built(MODULE)`: the folder that a program of the tests fills, once for all of xdist's workers; read only."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built"

    def build(module: str) -> Path:
        place = shared / module
        place.mkdir(parents=True, exist_ok=True)
        folder, unfinished = place / "models", place / "unfinished"
        with folder_lock(place):
            if not folder.exists():
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                subprocess.run([sys.executable, "-m", module, str(unfinished)], check=True)
                unfinished.rename(folder)
        return folder

    return build


@pytest.fixture(scope="session")
def saved_models(built: Callable[[str], Path]) -> Path:
    """A folder with the SavedModels of tests/support/build_saved_models.py; read only."""
    return built("tests.support.build_saved_models")


@pytest.fixture(scope="session")
def served_models(built: Callable[[str], Path]) -> Path:
    """A folder with the models of tests/support/served_models.py, as NAME/VERSION; read only."""
    return built("tests.support.served_models")


@pytest.fixture(scope="session", params=["python", "native"])
def front(request: pytest.FixtureRequest) -> str:
    """Each front by its name: what a server does, it does over both."""
    if request.param == "native" and (reason := interpreter.missing()):
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture(scope="session")
def server(front: str, served_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of `served_models`, for tests that change nothing about it."""
    flags = f"--model_base_path={served_models}", f"--front={front}"
    with running(tmp_path_factory.mktemp("server"), *flags) as started:
        yield started


@pytest.fixture
def start_server(front: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    """`start_server(*flags)`: a server of the test's own, ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(*flags: str) -> RunningServer:
            return stack.enter_context(running(tmp_path_factory.mktemp("server"), f"--front={front}", *flags))

        yield start
