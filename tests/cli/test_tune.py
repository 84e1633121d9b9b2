"""`tfx-export tune` with a real server and a real model."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import tfx_export


class Page(HTMLParser):
    """Counts elements and keeps the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.words = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="session")
def model(served_models: Path) -> Path:
    return served_models / "half_plus_two"


@pytest.mark.slow
def test_tune_writes_the_parameters_and_a_report(model: Path, tmp_path: Path) -> None:
    probe, output, report = tmp_path / "x.npz", tmp_path / "batching.pbtxt", tmp_path / "report.html"
    np.savez(probe, x=np.ones((3, 1), np.float32))
    done = tfx_export(
        *("tune", model, "--seconds", "6", "--clients", "8", "--probe", probe, "--json"),
        *("--engine", "tensorflow", "--output", output, "--report", report),
    )
    found = json.loads(done.stdout)
    assert found["trials"][0]["max_batch_size"] == 0
    assert found["best"] in found["trials"]
    assert all(trial["requests_per_second"] > 0 and trial["p50"] <= trial["p99"] for trial in found["trials"])
    if found["best"]["max_batch_size"]:
        assert found["written"] == str(output)
        assert f"--batching_parameters_file={output}" in found["command"]
        assert f"max_batch_size {{ value: {found['best']['max_batch_size']} }}" in output.read_text()
    else:
        assert found["written"] is None
        assert not output.exists()
    page = Page(report.read_text())
    assert page.elements.count("rect") == page.elements.count("circle") == len(found["trials"])
    assert found["command"] in page.words


def test_a_folder_without_versions_is_refused(tmp_path: Path) -> None:
    done = tfx_export("tune", tmp_path, code=2)
    assert "is not a model folder or a version: it is an empty folder" in done.stderr


def test_inputs_that_do_not_fit_are_refused(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "z.npz", z=np.ones((3, 1), np.float32))
    done = tfx_export("tune", model, "--probe", tmp_path / "z.npz", "--engine", "tensorflow", code=2)
    assert "holds an array 'z', which is not an input of any signature" in done.stderr
    assert "Name the arrays after inputs" in done.stderr


def test_a_version_that_does_not_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"nonsense")
    done = tfx_export("tune", tmp_path, code=2)
    assert "The server did not start" in done.stderr
    assert "(tensorflow, no batching)" in done.stderr
