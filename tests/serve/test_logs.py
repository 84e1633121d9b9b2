"""Log lines as text and as JSON, both with the request id."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from serve import logs
from serve.request.call_record import CURRENT, CallRecord


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Restores the loggers that `logs.setup` changes."""
    root, ours = logging.getLogger(), logging.getLogger("serve")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], root.level, ours.level = before
    logging.captureWarnings(False)


def logged(
    log_format: str, text: str, *, failing: bool = False, call: CallRecord | None = None, **extra: object
) -> str:
    stream = io.StringIO()
    logs.setup(log_format, "info", stream)
    token = CURRENT.set(call)
    try:
        if failing:
            try:
                raise ValueError("broken")
            except ValueError:
                logging.getLogger("serve").exception(text, extra=extra)
        else:
            logging.getLogger("serve").info(text, extra=extra)
    finally:
        CURRENT.reset(token)
    return stream.getvalue()


def call(given_id: str) -> CallRecord:
    return CallRecord("GRPC", "Predict", given_id, lambda: "ipv4:127.0.0.1:1")


@pytest.mark.usefixtures("root_logger")
class TestText:
    def test_an_event_is_one_line(self) -> None:
        line = logged("text", "Model mnist version 3 is available")
        assert line.endswith(" INFO    Model mnist version 3 is available\n")

    def test_request_id_is_at_the_end(self) -> None:
        assert logged("text", "failed", call=call("abc")).endswith("failed [abc]\n")

    def test_a_client_cannot_forge_a_line(self) -> None:
        assert logged("text", "model a\n12:00:00 ERROR forged").count("\n") == 1


@pytest.mark.usefixtures("root_logger")
class TestJson:
    def test_an_event_is_one_object_with_its_fields(self) -> None:
        event = json.loads(logged("json", "Model\nloaded", model="mnist", version=3))
        assert event.pop("time").endswith("Z")
        assert event == {
            "level": "info",
            "logger": "serve",
            "message": "Model\nloaded",
            "model": "mnist",
            "version": 3,
        }

    def test_request_id_is_a_field(self) -> None:
        assert json.loads(logged("json", "failed", call=call("abc")))["request_id"] == "abc"

    def test_traceback_is_a_field(self) -> None:
        text = logged("json", "failed", failing=True)
        assert text.count("\n") == 1
        assert "ValueError: broken" in json.loads(text)["exception"]


@pytest.mark.usefixtures("root_logger")
def test_debug_lines_need_the_debug_level() -> None:
    stream = io.StringIO()
    logs.setup("text", "info", stream)
    logging.getLogger("serve").debug("detail")
    assert stream.getvalue() == ""
    logs.setup("text", "debug", stream)
    logging.getLogger("serve").debug("detail")
    assert "detail" in stream.getvalue()


@pytest.mark.parametrize("given", ["", None, "a" * 129, "line\nbreak", "smile ☺", "\x1b[31m"])
def test_long_or_unprintable_request_ids_are_replaced(given: str | None) -> None:
    replaced = CallRecord("REST", "predict", given, str)
    assert replaced.request_id != given
    assert len(replaced.request_id) == 16
    assert replaced.request_id == replaced.request_id
