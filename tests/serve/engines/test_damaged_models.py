"""A damaged SavedModel ends with DATA_LOSS or INVALID_ARGUMENT, and with a text that an operator can read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serve.config import Config
from serve.engines import load
from serve.engines.preparation import Outcome
from serve.errors import ServeError

Change = Callable[[bytes], bytes | None]

DAMAGED: dict[str, tuple[str, Change, str]] = {
    "half a graph": ("half_plus_two/saved_model.pb", lambda data: data[: len(data) // 2], "is damaged: "),
    "no graph": ("half_plus_two/saved_model.pb", lambda _: b"", "holds no graph: it is empty or truncated"),
    "a graph that is a web page": ("half_plus_two/saved_model.pb", lambda _: b"<html>", "is damaged: "),
    "half a graph as text": ("words/saved_model.pbtxt", lambda data: data[: len(data) // 2], "is damaged: "),
    "a graph that is not text": ("words/saved_model.pbtxt", lambda _: b"\xff\xfe", "damaged: it is not valid text"),
    "no shard": ("half_plus_two/variables/variables.data-00000-of-00001", lambda _: None, "No such file"),
    "half a shard": ("half_plus_two/variables/variables.data-00000-of-00001", lambda data: data[:2], "Read less bytes"),
    "an empty shard": ("half_plus_two/variables/variables.data-00000-of-00001", lambda _: b"", "Read less bytes"),
    "no index": ("half_plus_two/variables/variables.index", lambda _: None, "is not a valid checkpoint"),
    "an empty index": ("half_plus_two/variables/variables.index", lambda _: b"", "too short to be an sstable"),
    "an index that is none": ("half_plus_two/variables/variables.index", lambda _: b"\xff" * 200, "not an sstable"),
    "no vocabulary": ("words/assets/vocabulary.txt", lambda _: None, "vocabulary.txt; No such file"),
    # TensorFlow's error quotes the bytes.
    "a vocabulary with a repeated word": (
        "words/assets/vocabulary.txt",
        lambda _: b"\xff\xfe\n\xff\xfe\n",
        "HashTable has different value for same key. Key \ufffd\ufffd has 0",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_saved_model_says_what_is_wrong(
    name: str, served_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.engines.prepare", lambda *_: Outcome(None, "for a test"))
    place, change, text = DAMAGED[name]
    model, _, file = place.partition("/")
    shutil.copytree(served_models / model / "1", tmp_path / "1")
    data = change((tmp_path / "1" / file).read_bytes())
    (tmp_path / "1" / file).unlink()
    if data is not None:
        (tmp_path / "1" / file).write_bytes(data)
    assert text in _error(tmp_path / "1", Config(), "DATA_LOSS", "INVALID_ARGUMENT")


def test_a_missing_tag_set_and_a_folder_without_a_model(
    served_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.engines.prepare", lambda *_: Outcome(None, "for a test"))
    other = Config(saved_model_tags="serve,gpu")
    assert "available tags '[{'serve'}]'" in _error(served_models / "half_plus_two" / "1", other, "INVALID_ARGUMENT")
    monkeypatch.setattr("serve.engines.assign", lambda *_: {"tensorflow": None})
    assert "is not a valid SavedModel: it is an empty folder" in _error(tmp_path, Config(), "NOT_FOUND")


def _error(path: Path, config: Config, *codes: str) -> str:
    """Loads the version, which fails with one of `codes`. Returns the text, which is fit for people."""
    with pytest.raises(ServeError) as caught:
        load(path, config)
    message = caught.value.message
    assert caught.value.code.name in codes, message
    assert "b'" not in message
    assert "codec" not in message
    return message
