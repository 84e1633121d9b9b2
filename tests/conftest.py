"""Fixtures that many test modules share."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serve.fronts.native import interpreter
from tests.support.server import RunningServer, running


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
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SavedModels of tests/support/build_saved_models.py; read only."""
    folder = tmp_path_factory.mktemp("saved_models")
    subprocess.run([sys.executable, "-m", "tests.support.build_saved_models", str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def served_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models of tests/support/served_models.py, as NAME/VERSION; read only."""
    folder = tmp_path_factory.mktemp("served_models")
    subprocess.run([sys.executable, "-m", "tests.support.served_models", str(folder)], check=True)
    return folder


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
