"""A row of numbers in known surroundings is read as if the whole request were new."""

from typing import Any

import pytest

from serve.codec.json.predict_request import JsonRequest
from serve.codec.json.single_row import MAX_AROUND_BYTES, MAX_KNOWN, JsonRow, RowReader
from serve.errors import ServeError
from tfx_export.savedmodel.signature import PREDICT, Signature, TensorSpec

AROUND = [
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
@pytest.mark.parametrize(("before", "behind"), AROUND)
def test_it_is_read_as_if_it_were_new(before: str, behind: str, wanted: Signature) -> None:
    reader = RowReader()
    bodies = [f"{before}{row}{behind}".encode() for row in [*ROWS, *ROWS]]
    for body in bodies:
        assert outcome(reader.read, body, wanted) == outcome(JsonRequest, body, wanted), body
        assert outcome(reader.read, body, wanted, 1) == outcome(JsonRequest, body, wanted, 1), body


@pytest.mark.parametrize(("before", "behind"), AROUND[:6])
def test_known_surroundings_are_not_parsed_again(before: str, behind: str) -> None:
    reader = RowReader()
    numbers = ", 1" * 1000  # rows of objects are read at once from some size on
    outcome(reader.read, f"{before}[2{numbers}]{behind}".encode(), signature("DT_FLOAT"))
    request = reader.read(f"{before}[3{numbers}]{behind}".encode())
    assert isinstance(request, JsonRow)
    assert request.inputs(signature("DT_FLOAT"))["x"].ravel()[0] == 3.0


def test_what_is_remembered_is_bounded() -> None:
    reader = RowReader()

    def known(body: bytes) -> bool:
        outcome(reader.read, body, signature("DT_FLOAT"))
        return isinstance(reader.read(body), JsonRow)

    bodies = [b'{"instances": [[1]], "unread": %d}' % number for number in range(MAX_KNOWN + 1)]
    assert all(known(body) for body in bodies)
    assert not isinstance(reader.read(bodies[0]), JsonRow)
    assert not known(b'{"instances": [[1]], "unread": "%s"}' % (b"a" * MAX_AROUND_BYTES))
