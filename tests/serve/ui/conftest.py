"""Models, a server for them, and its web page in headless Chromium."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.fronts.native import embedded_python
from tests.support.server import PATIENCE, RunningServer, publish, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def front() -> str:
    """The default front. The page is the same over both."""
    return "python" if embedded_python.why_unavailable() else "native"


@pytest.fixture(scope="session")
def page_models(built: Callable[[str], Path]) -> Path:
    """A folder with the models `quarters` and `pair`; read only."""
    return built("tests.support.page_models")


@pytest.fixture(scope="module")
def page_folder(page_models: Path, served_models: Path, front: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the models that the server serves; tests may add versions."""
    folder = tmp_path_factory.mktemp(f"page_{front}") / "models"
    served = [served_models / name for name in ("words", "pictures", "counter")]
    for source in (page_models / "quarters", page_models / "pair", *served):
        publish(source / "1", folder / source.name)
    return folder


@pytest.fixture(scope="module")
def page_server(page_folder: Path, front: str) -> Iterator[RunningServer]:
    with running(page_folder.parent, f"--model_base_path={page_folder}", f"--front={front}") as server:
        yield server


# Not of session scope: while Playwright is open, an event loop runs in this thread, and asyncio.run raises an error.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("the tests of the web page need Chromium")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*flags, "--disable-component-update", "--disable-sync"]
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Any, page_server: RunningServer) -> Iterator[Any]:
    """The loaded page with the first model selected. It must not have logged an error at the end."""
    opened = browser.new_page()
    opened.set_default_timeout(1000 * PATIENCE)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.goto(f"{page_server.rest}/")
    opened.wait_for_selector("#chosen:not([hidden])")
    yield opened
    opened.close()
    assert not [error for error in errors if "status of 400" not in error]
