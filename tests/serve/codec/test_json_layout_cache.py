"""A request with a cached layout gives the same result as one that is parsed."""

from typing import Any

import pytest

from serve.codec.json.predict_request import MAX_LAYOUT_BYTES, CachedLayoutRequest, JsonPredictReader, JsonRequest
from serve.codec.layout_cache import MAX_LAYOUTS
from serve.errors import ServeError
from tfx_export.savedmodel.signature import PREDICT, Signature, TensorSpec

# The text before and after a row.
LAYOUTS = [
    ('{"instances": [', "]}"),
    ('{"instances": ', "}"),
    ('{"inputs": [[', "]]}"),
    ('{"inputs": {"x": [', "]}}"),
    ('{"instances": [{"x": ', "}]}"),
    ('{"signature_name": "s", "instances": [', "]}"),
    ('{"instances": [', '], "signature_name": "a [b] {c}"}'),
    ('{"unread": {"n": 1}, "instances": [', "]}"),
    ('{"unread": [7], "instances": [', "]}"),
    (' \n{"instances" :[ ', ' ] , "signature_name":"s" } \n'),
    ('{"instances": [', "]} and more"),
    ('{"instances": [[1], ', "]}"),
    ('{"inputs": {"other": [', "]}}"),
]
ROWS = [
    "[1, 2.5]", "[3]", "[-0.0, 1e3, 4]", "[1e999]", "[123456789012345678901]", "[2147483648]", "[1.0]",
    "[NaN, 1]", "[Infinity]",
    "[]", "[ ]", "[1,]", "[,1]", "[1 2]", "[01]", '["a"]', '["]"]', '["["]', "[null]", "[true]", "[1, true]", "[{}]",
    '[{"b64": "YQ=="}]', "[[1]]", "[[1], [2]]", "[1, [2]]", "[1]]", "[[1]", "[1}", "1", '"a"', "[1], [2]", "[1], 2",
    "[1" + ", 1" * 600 + "]",
]  # fmt: skip
DTYPES = ["DT_FLOAT", "DT_DOUBLE", "DT_INT32", "DT_INT64", "DT_UINT64", "DT_BOOL", "DT_STRING"]


def signature(*dtypes: str) -> Signature:
    return Signature("s", PREDICT, {n: TensorSpec(n, dtype, None) for n, dtype in zip("xy", dtypes, strict=False)}, {})


def outcome(make: Any, body: bytes, wanted: Signature, depth: int = 254) -> object:
    try:
        request = make(body)
        arrays = request.inputs(wanted, depth)
    except ServeError as error:
        return error.code, error.message
    found = {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in arrays.items()}
    return found, request.signature_name, request.is_row_format


@pytest.mark.parametrize(
    "wanted",
    [*map(signature, DTYPES), signature("DT_FLOAT", "DT_FLOAT")],
    ids=lambda s: "-".join(i.dtype for i in s.inputs.values()),
)
@pytest.mark.parametrize(("before", "after"), LAYOUTS)
def test_cached_layout_gives_the_same_result_as_parsing(before: str, after: str, wanted: Signature) -> None:
    reader = JsonPredictReader()
    bodies = [f"{before}{row}{after}".encode() for row in [*ROWS, *ROWS]]
    for body in bodies:
        assert outcome(reader.read, body, wanted) == outcome(JsonRequest, body, wanted), body
        assert outcome(reader.read, body, wanted, 1) == outcome(JsonRequest, body, wanted, 1), body


@pytest.mark.parametrize(("before", "after"), LAYOUTS[:6])
def test_cached_layout_is_not_parsed_again(before: str, after: str) -> None:
    reader = JsonPredictReader()
    numbers = ", 1" * 1000  # smaller rows of objects are read as Python values
    outcome(reader.read, f"{before}[2{numbers}]{after}".encode(), signature("DT_FLOAT"))
    request = reader.read(f"{before}[3{numbers}]{after}".encode())
    assert isinstance(request, CachedLayoutRequest)
    assert request.inputs(signature("DT_FLOAT"))["x"].ravel()[0] == 3.0


def test_size_of_the_cache_is_bounded() -> None:
    reader = JsonPredictReader()

    def is_cached(body: bytes) -> bool:
        outcome(reader.read, body, signature("DT_FLOAT"))
        return isinstance(reader.read(body), CachedLayoutRequest)

    bodies = [b'{"instances": [[1]], "unread": %d}' % number for number in range(MAX_LAYOUTS + 1)]
    assert all(is_cached(body) for body in bodies)
    assert not isinstance(reader.read(bodies[0]), CachedLayoutRequest)
    assert not is_cached(b'{"instances": [[1]], "unread": "%s"}' % (b"a" * MAX_LAYOUT_BYTES))
