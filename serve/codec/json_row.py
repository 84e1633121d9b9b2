"""One row of numbers, in a text around it that was seen before: only the numbers are read."""

from collections.abc import Mapping
from typing import NamedTuple

import simdjson

from serve.codec.json_dense import MAX_DEPTH
from serve.codec.json_numbers import UnusualError, is_one_row, read_list
from serve.codec.json_predict import JsonRequest
from tfx_export.savedmodel.signature import Signature, TensorSpec
from tfx_export.savedmodel.tensor import Array

# So many texts around a row are remembered, of so many bytes: a client decides what they are.
MAX_KNOWN, MAX_AROUND_BYTES = 1024, 512


class _Around(NamedTuple):
    """What the text around a row says. `name`: of the input, None if it leaves that to the signature."""

    signature_name: str
    is_row_format: bool
    name: str | None
    ndim: int


_known: dict[tuple[bytes, bytes], _Around] = {}


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
        try:
            return self._inputs(signature.inputs, max_depth)
        except (UnusualError, TypeError, ValueError, RuntimeError):
            return JsonRequest(self._body).inputs(signature, max_depth)

    def _inputs(self, specs: Mapping[str, TensorSpec], max_depth: int) -> dict[str, Array]:
        around = self._around
        if len(specs) != 1 or around.ndim > max_depth:
            raise UnusualError
        ((name, spec),) = specs.items()
        if around.name not in (None, name):
            raise UnusualError
        row = simdjson.Parser().parse(self._row)
        if not isinstance(row, simdjson.Array) or not len(row):
            raise UnusualError
        numbers = read_list(row, spec.dtype)
        return {name: numbers.reshape((1,) * (around.ndim - 1) + (-1,))}


class _NewRequest(JsonRequest):
    """A request whose surroundings may be worth remembering."""

    def inputs(self, signature: Signature, max_depth: int = MAX_DEPTH) -> dict[str, Array]:
        arrays = super().inputs(signature, max_depth)
        if is_one_row(self.body, arrays):
            self._remember(arrays)
        return arrays

    def _remember(self, arrays: Mapping[str, Array]) -> None:
        key, _ = _parted(self.body)
        if len(key[0]) + len(key[1]) > MAX_AROUND_BYTES:
            return
        ((name, array),) = arrays.items()
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        is_named = key[0].count(b"{") > 1
        _known[key] = _Around(self.signature_name, self.is_row_format, name if is_named else None, array.ndim)


def read_request(body: bytes) -> JsonRequest | JsonRow:
    """The request in `body`. Raises ServeError INVALID_ARGUMENT, here or when its parts are asked for."""
    key, row = _parted(body)
    around = _known.get(key)
    return JsonRow(body, around, row) if around else _NewRequest(body)


def _parted(body: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    """What is around the last list, and the list."""
    start = body.rfind(b"[")
    end = body.find(b"]", start) + 1
    return (body[:start], body[end:]), body[start:end]
