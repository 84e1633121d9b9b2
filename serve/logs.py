"""Log formats: one readable line or one JSON object per event; events inside a request have its id."""

import logging
import os
import sys
import time
from typing import TextIO

from serve.request.call_record import CURRENT

# Attributes of every LogRecord. All others were given as `extra` and go into the JSON object.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")


class TextFormatter(logging.Formatter):
    """`12:30:01.123 INFO  Model mnist version 3 is available`."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{clock}.{int(record.msecs):03d} {record.levelname:<7} {record.getMessage()}"
        request_id = _request_id(record)
        if request_id:
            line += f" [{request_id}]"
        # Text from clients must not be able to forge a log line.
        line = line.replace("\r", "\\r").replace("\n", "\\n")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """`{"time": "2026-11-21T12:30:01.123Z", "level": "info", "logger": "serve", "message": ..., "request_id": ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        import orjson

        clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        event: dict[str, object] = {
            "time": f"{clock}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        request_id = _request_id(record)
        if request_id:
            event["request_id"] = request_id
        event.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _request_id(record: logging.LogRecord) -> str:
    given = getattr(record, "request_id", None)
    if given:
        return str(given)
    call = CURRENT.get()
    return call.request_id if call else ""


def _own_stderr() -> TextIO:
    """Returns stderr on a new descriptor, which works while TensorFlow's native code is silenced on the old one."""
    return os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)


def setup(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Sends all loggers to `stream` (default: stderr) as `text` or `json`. Called once, when the server starts."""
    handler = logging.StreamHandler(stream or _own_stderr())
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("serve").setLevel(level.upper())
    logging.captureWarnings(True)
