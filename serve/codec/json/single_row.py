"""One row of numbers, in a text around it that was seen before: only the numbers are read."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import simdjson

from serve.codec.json.arrays import MAX_DEPTH
from serve.codec.json.fast_path import UnusualError, is_one_row, read_list
from serve.codec.json.predict_request import JsonRequest
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.tensor import Array

# So many texts around a row are remembered, of so many bytes: a client decides what they are.
MAX_KNOWN, MAX_AROUND_BYTES = 1024, 512


class _Around(NamedTuple):
    """What the text around a row says.

    `name`: of the input, None if it leaves that to the signature. `shape`: of the input, -1 for the row's length.
    """

    signature_name: str
    is_row_format: bool
    name: str | None
    shape: tuple[int, ...]


_Key: TypeAlias = tuple[bytes, bytes]


class RowReader:
    """Reads requests, and remembers what was around the numbers of those with a single row."""

    def __init__(self) -> None:
        self._known: dict[_Key, _Around] = {}

    def read(self, body: bytes) -> "JsonRequest | JsonRow":
        """The request in `body`. Raises ServeError INVALID_ARGUMENT, here or when its parts are asked for."""
        # The last list, and what is around it.
        start = body.rfind(b"[")
        end = body.find(b"]", start) + 1
        key = body[:start], body[end:]
        around = self._known.get(key)
        return JsonRow(body, around, body[start:end]) if around else _NewRequest(body, key, self._remember)

    def _remember(self, key: _Key, around: _Around) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[key] = around


class JsonRow:
    """As a JsonRequest: what the text around the row said when it was last parsed, it says again."""

    def __init__(self, body: bytes, around: _Around, row: bytes) -> None:
        self._body = body
        self._around = around
        self._row = row
        self.signature_name = around.signature_name
        self.is_row_format = around.is_row_format

    def inputs(self, signature: Signature, max_depth: int = MAX_DEPTH) -> dict[str, Array]:
        """As of JsonRequest, which is left all that is not as simple as it looked."""
        around, specs = self._around, signature.inputs
        try:
            ((name, spec),) = specs.items()
            if len(around.shape) > max_depth or around.name not in (None, name):
                raise UnusualError
            row = simdjson.Parser().parse(self._row)
            if not isinstance(row, simdjson.Array) or not len(row):
                raise UnusualError
            return {name: read_list(row, spec.dtype).reshape(around.shape)}
        except (UnusualError, TypeError, ValueError, RuntimeError):
            return JsonRequest(self._body).inputs(signature, max_depth)


class _NewRequest(JsonRequest):
    """A request whose surroundings may be worth remembering."""

    def __init__(self, body: bytes, key: _Key, remember: Callable[[_Key, _Around], None]) -> None:
        super().__init__(body)
        self._key = key
        self._remember = remember

    def inputs(self, signature: Signature, max_depth: int = MAX_DEPTH) -> dict[str, Array]:
        arrays = super().inputs(signature, max_depth)
        if sum(map(len, self._key)) <= MAX_AROUND_BYTES and is_one_row(self.body, arrays):
            ((name, array),) = arrays.items()
            is_named = self._key[0].count(b"{") > 1
            shape = (1,) * (array.ndim - 1) + (-1,)
            around = _Around(self.signature_name, self.is_row_format, name if is_named else None, shape)
            self._remember(self._key, around)
        return arrays
