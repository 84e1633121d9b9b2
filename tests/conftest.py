"""Fixtures that many test modules share."""

import contextlib
import functools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serve.fronts.native import embedded_python
from tests.support import built_models
from tests.support.fast import ProcessGuard, is_fast
from tests.support.in_memory import InMemoryServer, in_memory
from tests.support.server import RunningServer, Server, running

# The tests start a thousand programs of ours. Without cached bytecode each would spend 0.2 seconds on compilation.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Servers under test keep their prepared versions in the checkout, not in the user's cache folder.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parent.parent / "build" / "cache")

process_guard = ProcessGuard()


def pytest_configure() -> None:
    """Restores Ctrl-C for the programs that tests start: a shell without job control starts us with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Makes it an error for a test with the mark `fast` to start a process."""
    process_guard.test = item.name if item.get_closest_marker("fast") else None
    try:
        return (yield)
    finally:
        process_guard.test = None


# Before xdist, which reads the groups in a hook of the same name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups the tests for parallel runs: one group per front, so that it shares a server, then one group per file.

    Each example is a group. The longest groups come first, so that no worker still has one when the others are done.
    """
    for item in items:
        if is_fast(item):
            item.add_marker("fast")
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    slow = {group for item, group in groups.items() if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> int:
        front, heavy = (
            groups[item] in ("memory", "python", "native"),
            item.nodeid.startswith(("tests/export/", "tests/cli/")),
        )
        return 0 if front else 1 if groups[item] in slow else 2 if heavy else 3

    items.sort(key=rank)


def _group(item: pytest.Item) -> str:
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    file = item.nodeid.partition("::")[0]
    front = parameters.get("front") or parameters.get("transport")
    return str(front or (item.nodeid if file.startswith("tests/examples/") else file))


@pytest.fixture(scope="session")
def built() -> Callable[[str], Path]:
    """`built(MODULE)`: the folder that the program MODULE of the tests fills, once; read only."""
    return built_models.build


@pytest.fixture(scope="session")
def saved_models(built: Callable[[str], Path]) -> Path:
    """A folder with the SavedModels of tests/support/build_saved_models.py; read only."""
    return built("tests.support.build_saved_models")


@pytest.fixture(scope="session")
def served_models(built: Callable[[str], Path]) -> Path:
    """A folder with the models of tests/support/served_models.py, as NAME/VERSION; read only."""
    return built("tests.support.served_models")


@pytest.fixture(scope="session")
def all_models(served_models: Path, built: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `served_models` and the models of tests/support/conformance_models.py; read only."""
    folder = tmp_path_factory.mktemp("models") / "models"
    for source in (served_models, built("tests.support.conformance_models")):
        shutil.copytree(source, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session", params=["python", "native"])
def front(request: pytest.FixtureRequest) -> str:
    """The name of each front: a test that starts a server runs over both."""
    return require_front(request.param)


@pytest.fixture(scope="session", params=["memory", "python", "native"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each way to reach a server: in memory, or over a socket of each front."""
    return require_front(request.param)


def require_front(name: str) -> str:
    """Returns `name`; skips the test if this machine cannot run that front."""
    if name == "native" and (reason := embedded_python.why_unavailable()):
        pytest.skip(reason)
    return name


@pytest.fixture(scope="session")
def shared_server(
    all_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], RunningServer]]:
    """`shared_server(FRONT)`: one server process of `all_models` for each front, ended with the session."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def start(front: str) -> RunningServer:
            flags = f"--model_base_path={all_models}", f"--front={front}"
            return stack.enter_context(running(tmp_path_factory.mktemp("server"), *flags))

        yield start


@pytest.fixture(scope="session")
def server(front: str, shared_server: Callable[[str], RunningServer]) -> RunningServer:
    """A server process of `all_models`, for tests that do not change it."""
    return shared_server(front)


@pytest.fixture(scope="session")
def any_server(
    transport: str, all_models: Path, request: pytest.FixtureRequest
) -> Iterator[RunningServer | InMemoryServer]:
    """A server of `all_models` over each transport, for tests of behaviour that does not depend on sockets."""
    if transport == "memory":
        with in_memory(f"--model_base_path={all_models}") as server:
            yield server
    else:
        yield request.getfixturevalue("shared_server")(transport)


@pytest.fixture
def start_any_server(transport: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """`start_any_server(*flags)`: a server for one test over each transport, stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(*flags: str) -> Server:
            if transport == "memory":
                return stack.enter_context(in_memory(*flags))
            folder = tmp_path_factory.mktemp("server")
            return stack.enter_context(running(folder, f"--front={transport}", *flags))

        yield start


@pytest.fixture
def start_server(front: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    """`start_server(*flags)`: a server process for one test, ended after the test."""
    with contextlib.ExitStack() as stack:

        def start(*flags: str) -> RunningServer:
            return stack.enter_context(running(tmp_path_factory.mktemp("server"), f"--front={front}", *flags))

        yield start
