"""A JSON parser for documents that the fast ones refuse: any nesting depth, bare NaN and Inf, invalid UTF-8.

It accepts the documents that TensorFlow Serving accepts, and refuses others with the same text and offset. It reads
about a million values per second, so it is tried last.
"""

import re
from typing import Any, NoReturn

from serve.errors import invalid_argument
from tfx_export.json_value import JsonValue

# Larger documents would take too long here; no correct document that the fast parsers refuse is that large.
MAX_VALUES = 1_000_000

_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(rb"(-?)(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]*)?")
_LITERAL = re.compile(rb"true|false|null|-?(?:NaN|Infinity|Inf)")
_LITERALS = {
    b"true": True, b"false": False, b"null": None, b"NaN": float("nan"), b"-NaN": float("nan"),
    b"Inf": float("inf"), b"Infinity": float("inf"), b"-Inf": float("-inf"), b"-Infinity": float("-inf"),
}  # fmt: skip
_ESCAPES = {
    b'"': b'"', b"\\": b"\\", b"/": b"/", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t",
}  # fmt: skip
_HEX = re.compile(rb"[0-9a-fA-F]{4}")

_OPENED = object()
_MISSING_NAME = "Missing a name for object member."
_INVALID = "Invalid value."


def parse(body: bytes) -> JsonValue:
    """Returns the first JSON value of `body`. Ignores anything after it. Invalid bytes in strings become surrogates.

    Raises ServeError INVALID_ARGUMENT with the offset of the fault.
    """
    return _Parser(body).document()


class _Parser:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._position = 3 if body.startswith(b"\xef\xbb\xbf") else 0
        self._open: list[dict[str, JsonValue] | list[JsonValue]] = []
        self._names: list[str] = []

    def document(self) -> JsonValue:
        """Returns the document. Open containers are in a list, not on the call stack: only memory limits the depth."""
        values = 0
        while True:
            values += 1
            if values > MAX_VALUES:
                self._fail(f"More than {MAX_VALUES} values in a document that is not plain JSON.")
            value: JsonValue = self._value()
            if value is _OPENED:
                continue
            # A complete value may complete the containers around it, too.
            while self._open and self._add_to_container(value):
                value = self._open.pop()
            if not self._open:
                return value

    def _value(self) -> Any:
        """Returns a scalar or an empty container, or _OPENED after opening a container that is not empty."""
        self._skip_space()
        byte = self._body[self._position : self._position + 1]
        if byte not in (b"{", b"["):
            return self._scalar(byte)
        self._position += 1
        container: dict[str, JsonValue] | list[JsonValue] = {} if byte == b"{" else []
        if self._take(b"}" if byte == b"{" else b"]"):
            return container
        self._open.append(container)
        if byte == b"{":
            self._names.append(self._name())
        return _OPENED

    def _add_to_container(self, value: JsonValue) -> bool:
        """Adds `value` to the innermost container. Returns whether that container is complete now."""
        container = self._open[-1]
        if isinstance(container, dict):
            container.setdefault(self._names.pop(), value)
            if self._take(b","):
                self._names.append(self._name())
                return False
            if not self._take(b"}"):
                self._fail("Missing a comma or } after an object member.")
            return True
        container.append(value)
        if self._take(b","):
            return False
        if not self._take(b"]"):
            self._fail("Missing a comma or ] after an array element.")
        return True

    def _skip_space(self) -> None:
        space = _SPACE.match(self._body, self._position)
        assert space is not None
        self._position = space.end()

    def _take(self, byte: bytes) -> bool:
        if not self._body.startswith(byte, self._position):
            self._skip_space()
            if not self._body.startswith(byte, self._position):
                return False
        self._position += 1
        return True

    def _name(self) -> str:
        self._skip_space()
        if not self._body.startswith(b'"', self._position):
            self._fail(_MISSING_NAME)
        name = self._string()
        if not self._take(b":"):
            self._fail("Missing a colon after a name of object member.")
        return name

    def _scalar(self, byte: bytes) -> JsonValue:
        if byte == b'"':
            return self._string()
        literal = _LITERAL.match(self._body, self._position)
        if literal:
            self._position = literal.end()
            return _LITERALS[literal.group()]
        return self._number()

    def _number(self) -> int | float:
        start = self._position
        number = _NUMBER.match(self._body, start)
        if number is None:
            self._fail(_INVALID)
        _, _, fraction, exponent = number.groups()
        if fraction == b".":
            self._fail("Miss fraction part in number.", number.end(3))
        if exponent and not exponent[-1:].isdigit():
            self._fail("Miss exponent in number.", number.end())
        self._position = number.end()
        if fraction is None and exponent is None and number.end() - start < 25:
            integer = int(number.group())
            # A number beyond 64 bits has no exact type: it becomes a double.
            if -(2**63) <= integer < 2**64:
                return integer
        value = float(number.group())
        if value in (float("inf"), float("-inf")):
            self._fail("Number too big to be stored in double.", start)
        return value

    def _string(self) -> str:
        start = self._position
        self._position += 1
        pieces = []
        while True:
            plain = _PLAIN.match(self._body, self._position)
            assert plain is not None
            pieces.append(plain.group())
            self._position = plain.end()
            byte = self._body[self._position : self._position + 1]
            if byte == b'"':
                self._position += 1
                return b"".join(pieces).decode("utf-8", "surrogateescape")
            if byte == b"\\":
                pieces.append(self._escape())
            elif byte in (b"", b"\0"):
                self._fail("Missing a closing quotation mark in string.", start)
            else:
                self._fail("Invalid encoding in string.")

    def _escape(self) -> bytes:
        start = self._position
        letter = self._body[start + 1 : start + 2]
        self._position += 2
        if letter != b"u":
            if letter not in _ESCAPES:
                self._fail("Invalid escape character in string.", start)
            return _ESCAPES[letter]
        code = self._hex(start)
        if 0xD800 <= code < 0xE000:
            low = 0
            if code < 0xDC00 and self._body.startswith(b"\\u", self._position):
                self._position += 2
                low = self._hex(start)
            if not 0xDC00 <= low < 0xE000:
                self._fail("The surrogate pair in string is invalid.", start)
            code = 0x10000 + (code - 0xD800 << 10) + (low - 0xDC00)
        return chr(code).encode()

    def _hex(self, start: int) -> int:
        digits = _HEX.match(self._body, self._position)
        if digits is None:
            self._fail("Incorrect hex digit after \\u escape in string.", start)
        self._position += 4
        return int(digits.group(), 16)

    def _fail(self, reason: str, offset: int | None = None) -> NoReturn:
        offset = self._position if offset is None else offset
        raise invalid_argument(f"JSON Parse error: {reason} at offset: {offset}")
