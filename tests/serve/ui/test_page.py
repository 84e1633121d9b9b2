"""The page on the REST port, used as a person would: models, forms, answers, versions that come and go."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import RunningServer, publish

pytestmark = pytest.mark.slow


def choose(page: Any, model: str) -> None:
    page.click(f"[data-model={model}]")
    page.wait_for_function("name => document.getElementById('model-name').textContent === name", arg=model)


def answer(page: Any) -> Any:
    page.click("#ask")
    page.wait_for_selector("#answer pre")
    return json.loads(page.text_content("#answer pre"))["outputs"]


def test_models_signatures_and_health_are_shown(page: Any) -> None:
    choose(page, "quarters")
    assert page.text_content("#health") == "ready"
    assert page.text_content("#models dd.AVAILABLE") == "AVAILABLE"
    assert page.text_content("#inputs") == "imagefloat(?, 8, 8)"
    assert page.text_content("#outputs") == "scoresfloat(?, 4)"
    assert page.get_attribute("[data-model=quarters]", "aria-current") == "true"


def test_a_stroke_with_the_pointer_is_answered_with_bars(page: Any) -> None:
    choose(page, "quarters")
    box = page.locator("canvas.pad").bounding_box()
    x, top, bottom = box["x"] + box["width"] * 7 / 8, box["y"] + 10, box["y"] + box["height"] - 10
    page.mouse.move(x, top)
    page.mouse.down()
    page.mouse.move(x, bottom, steps=10)
    page.mouse.up()
    scores = answer(page)[0]
    assert max(scores) == scores[3] > 16
    assert page.get_attribute(".bars", "aria-label").startswith("answer: 0 ")
    assert page.locator(".bars .bar").count() == 4


def test_the_pad_is_drawn_on_with_the_keyboard(page: Any) -> None:
    choose(page, "quarters")
    page.focus("canvas.pad")
    for key in (*["ArrowLeft"] * 4, "Space"):
        page.keyboard.press(key)
    scores = answer(page)[0]
    assert max(scores) == scores[0] > 0
    page.focus("canvas.pad")
    page.keyboard.press("Delete")
    page.click("#ask")
    page.wait_for_function("() => /\\[\\[0.0, ?0.0/.test(document.querySelector('#answer pre').textContent)")


def test_numbers_and_json_are_sent_as_typed(page: Any) -> None:
    choose(page, "pair")
    page.fill("[aria-label='x 0']", "1.5")
    page.fill("[aria-label='n 0']", "2")
    page.fill("[aria-label='n 1']", "3")
    assert answer(page) == [3.5, 4.5]
    page.click("[role=tab]:has-text('JSON')")
    page.fill("textarea", '{"x": 0.5, "n": [10, 20]}')
    page.click("#ask")
    page.wait_for_function("() => document.querySelector('#answer pre').textContent.includes('20.5')")


def test_the_servers_error_is_shown(page: Any) -> None:
    choose(page, "pair")
    page.click("[role=tab]:has-text('JSON')")
    page.fill("textarea", '{"x": 0.5}')
    page.click("#ask")
    page.wait_for_selector("#answer [role=alert]")
    assert "n" in page.text_content("#answer [role=alert]")


def test_a_new_version_takes_over_while_the_page_is_open(page: Any, page_models: Path, tmp_path: Path) -> None:
    choose(page, "quarters")
    publish(page_models / "quarters" / "1", tmp_path / "models" / "quarters", 2)
    page.wait_for_function("() => document.getElementById('version').value === '2'", timeout=30_000)
    assert "version 1END" in page.text_content("#models")


def test_tabs_follow_the_arrow_keys(page: Any) -> None:
    choose(page, "quarters")
    page.focus("#languages [aria-selected=true]")
    before = page.text_content("#snippet")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#snippet") != before
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    colours = page.evaluate(
        """() => ['body', '#models dd', 'nav h2', '#ask', 'th'].map(name => {
            const one = document.querySelector(name);
            let ground = one;
            while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
            return [name, getComputedStyle(one).color, getComputedStyle(ground).backgroundColor];
        })"""
    )
    for name, ink, ground in colours:
        assert contrast(ink, ground) >= 4.5, (name, ink, ground)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two `rgb(r, g, b)`, as WCAG 2 defines it."""
    lights = sorted(luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_no_ui_switches_the_page_off(page_models: Path, start_server: Callable[..., RunningServer]) -> None:
    server = start_server(f"--model_base_path={page_models / 'pair'}", "--model_name=pair", "--no_ui")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{server.rest}/")
    assert raised.value.code == 400
    raised.value.close()
