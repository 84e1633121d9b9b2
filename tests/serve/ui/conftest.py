"""A model that can be drawn for, a server of it, and a page in headless Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import tfx_export
from tests.support.server import PATIENCE, RunningServer, publish, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# The four scores are how bright the quarters of the picture are, from left to right.
MODEL = """
import tensorflow as tf

@tf.function(input_signature=[tf.TensorSpec([None, 8, 8], tf.float32, "image")])
def quarters(image):
    return {"scores": tf.reduce_sum(tf.reshape(image, [-1, 8, 4, 2]), [1, 3])}

@tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x"), tf.TensorSpec([2], tf.int64, "n")])
def pair(x, n):
    return {"y": x + tf.cast(n, tf.float32)}
"""


@pytest.fixture(scope="session")
def page_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The versions of `quarters` and `pair` below a folder; read only."""
    folder = tmp_path_factory.mktemp("page_models")
    (folder / "drawn.py").write_text(MODEL)
    for name in ("quarters", "pair"):
        tfx_export("function", f"drawn:{name}", "--out", folder / name, "--no-verify", folder=folder)
    return folder


@pytest.fixture(scope="module")
def page_folder(page_models: Path, served_models: Path, front: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server of the page serves; versions may be added."""
    folder = tmp_path_factory.mktemp(f"page_{front}") / "models"
    for source in (page_models / "quarters", page_models / "pair", served_models / "words", served_models / "pictures"):
        publish(source / "1", folder / source.name)
    return folder


@pytest.fixture(scope="module")
def page_server(page_folder: Path, front: str) -> Iterator[RunningServer]:
    with running(page_folder.parent, f"--model_base_path={page_folder}", f"--front={front}") as server:
        yield server


# Not for the session: while playwright is open, an event loop runs in this thread, and asyncio.run is refused.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the tests of the page are left out")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*quiet, "--disable-component-update", "--disable-sync"]
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Any, page_server: RunningServer) -> Iterator[Any]:
    """The page, loaded, with a model chosen; it must not have logged an error."""
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
