"""The web page on the REST port, used as a person uses it: models, forms, responses, new versions."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import RunningServer, publish
from tfx_export.sample_request import BLACK_IMAGE

pytestmark = pytest.mark.slow


def choose(page: Any, model: str) -> None:
    page.click(f"[data-model={model}]")
    page.wait_for_function("name => document.getElementById('model-name').textContent === name", arg=model)
    page.wait_for_selector("#send:not([disabled])")


def answer(page: Any) -> Any:
    page.click("#send")
    page.wait_for_selector("#answer pre")
    return json.loads(page.text_content("#answer pre"))["outputs"]


def test_models_signatures_and_health_are_shown(page: Any) -> None:
    choose(page, "quarters")
    assert page.text_content("#health") == "ready"
    assert page.text_content("#models dd.AVAILABLE") == "AVAILABLE"
    assert page.text_content("#inputs") == "imagefloat(?, 8, 8)"
    assert page.text_content("#outputs") == "scoresfloat(?, 4)"
    assert page.get_attribute("[data-model=quarters]", "aria-current") == "true"


def test_what_loading_took_is_shown_beside_each_version(page: Any) -> None:
    counter, *others = page.locator("#models dd.report").all_text_contents()
    assert len(others) == 4
    assert all(
        re.fullmatch(r"(tensorflow|litert), .*MB, loaded in [\d.]+\s(s|ms)( \(.*prepared?\))?", report)
        for report in (counter, *others)
    )
    (reason,) = page.locator("#models dd.warning").all_text_contents()
    assert reason.startswith("Served as it is, which is slower: a signature uses Assign")


def test_a_drawing_with_the_pointer_gets_scores_as_bars(page: Any) -> None:
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


def test_the_keyboard_can_draw_on_the_pad(page: Any) -> None:
    choose(page, "quarters")
    page.focus("canvas.pad")
    for key in (*["ArrowLeft"] * 4, "Space"):
        page.keyboard.press(key)
    scores = answer(page)[0]
    assert max(scores) == scores[0] > 0
    page.focus("canvas.pad")
    page.keyboard.press("Delete")
    page.click("#send")
    page.wait_for_function("() => /\\[\\[0.0, ?0.0/.test(document.querySelector('#answer pre').textContent)")


def test_numbers_and_json_are_sent_as_typed(page: Any) -> None:
    choose(page, "pair")
    page.fill("[aria-label=x]", "1.5")
    page.fill("[aria-label='n 0']", "2")
    page.fill("[aria-label='n 1']", "3")
    assert answer(page) == [3.5, 4.5]
    page.click("[role=tab]:has-text('JSON')")
    page.fill("textarea", '{"x": 0.5, "n": [10, 20]}')
    page.click("#send")
    page.wait_for_function("() => document.querySelector('#answer pre').textContent.includes('20.5')")


def test_classify_gets_the_features_in_the_form(page: Any) -> None:
    choose(page, "words")
    page.select_option("#signature-name", "classify")
    page.wait_for_selector("[aria-label=times]")
    page.fill("[aria-label=word]", "banana")
    page.fill("[aria-label=times]", "2")  # sent as 2.0: an integer would be a feature of another type
    page.click("#send")
    page.wait_for_selector("#answer pre")
    assert page.text_content("#send") == "Classify"
    assert page.locator(".bars").text_content() == "dear4.000cheap-3.000"
    assert "highest: dear (4.000)" in page.text_content("#timing")
    assert ":classify" in page.text_content("#snippet")


def test_an_image_can_be_dropped_on_the_form(page: Any) -> None:
    choose(page, "pictures")
    page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], 'black.png', { type: 'image/png' }));
            const drop = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
            document.querySelector('.drop-zone').dispatchEvent(drop);
        }""",
        list(BLACK_IMAGE),
    )
    page.wait_for_selector(".drop-zone img", state="visible")
    assert answer(page) == [0.0]


def test_an_image_can_be_chosen_as_a_file(page: Any, tmp_path: Path) -> None:
    choose(page, "pictures")
    assert not page.is_visible(".drop-zone img")
    page.click("#send")
    page.wait_for_selector("#answer [role=alert]:has-text('Choose an image first.')")
    (tmp_path / "black.png").write_bytes(BLACK_IMAGE)
    page.set_input_files("input[type=file]", tmp_path / "black.png")
    assert answer(page) == [0.0]
    assert page.is_visible(".drop-zone img")


def test_the_page_fits_a_narrow_screen(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    for model in ("quarters", "words"):
        choose(page, model)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_every_control_has_an_accessible_name(page: Any) -> None:
    for model in ("quarters", "pair", "words", "pictures"):
        choose(page, model)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, textarea, canvas, svg, [role=tabpanel]')]
                .filter(one => one.checkVisibility())
                .filter(one => !one.ariaLabel && !one.getAttribute('aria-label') && !one.textContent.trim()
                    && !one.labels?.length && !document.getElementById(one.getAttribute('aria-labelledby')))
                .map(one => one.outerHTML)"""
        )
        assert nameless == []


def test_an_error_of_the_server_is_shown(page: Any) -> None:
    choose(page, "pair")
    page.click("[role=tab]:has-text('JSON')")
    page.fill("textarea", '{"x": 0.5}')
    page.click("#send")
    page.wait_for_selector("#answer [role=alert]")
    assert "n" in page.text_content("#answer [role=alert]")


def test_an_open_page_switches_to_a_new_version(page: Any, page_models: Path, page_folder: Path) -> None:
    choose(page, "quarters")
    page.focus("canvas.pad")
    page.keyboard.press("Space")
    drawn = answer(page)
    newest = max(int(version.name) for version in (page_folder / "quarters").iterdir())
    publish(page_models / "quarters" / "1", page_folder / "quarters", newest + 1)
    page.wait_for_function(f"() => document.getElementById('version').value === '{newest + 1}'")
    left = f"version {newest}END"
    page.wait_for_function("text => document.getElementById('models').textContent.includes(text)", arg=left)
    page.evaluate("document.getElementById('answer').replaceChildren()")
    assert answer(page) == drawn, "the drawing was lost"


def test_tabs_follow_the_arrow_keys(page: Any) -> None:
    choose(page, "quarters")
    page.focus("#languages [aria-selected=true]")
    before = page.text_content("#snippet")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#snippet") != before
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"


def test_client_programs_contain_the_port_that_the_server_chose(page: Any, page_server: RunningServer) -> None:
    page.click("#languages [role=tab]:has-text('python-grpc')")
    assert f'Client("{page_server.grpc}")' in page.text_content("#snippet")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    colours = page.evaluate(
        """() => ['body', '#models dd', 'nav h2', '#send', 'th'].map(name => {
            const one = document.querySelector(name);
            let ground = one;
            while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
            return [name, getComputedStyle(one).color, getComputedStyle(ground).backgroundColor];
        })"""
    )
    for name, ink, ground in colours:
        assert contrast(ink, ground) >= 4.5, (name, ink, ground)


def contrast(one: str, other: str) -> float:
    """Returns the contrast ratio of two colors `rgb(r, g, b)`, as WCAG 2 defines it."""
    lights = sorted(luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_no_ui_disables_the_page(page_models: Path, start_server: Callable[..., RunningServer]) -> None:
    server = start_server(f"--model_base_path={page_models / 'pair'}", "--model_name=pair", "--no_ui")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{server.rest}/")
    assert raised.value.code == 404
    raised.value.close()
