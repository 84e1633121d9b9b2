"""The JSON of predict requests: values, shapes, dtypes, and the error texts for incorrect requests."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from serve.codec.json.fast_path import read_numbers
from serve.codec.json.parse import parse
from serve.codec.json.predict_request import JsonRequest
from serve.codec.layout_cache import UnsupportedLayoutError
from serve.errors import Code, ServeError
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import PREDICT, Signature, TensorSpec


def signature(**inputs: str) -> Signature:
    return Signature("s", PREDICT, {name: TensorSpec(f"{name}:0", dtype, None) for name, dtype in inputs.items()}, {})


def read(body: str | bytes, **inputs: str) -> dict[str, np.ndarray]:
    raw = body if isinstance(body, bytes) else body.encode()
    request = JsonRequest(raw)
    assert isinstance(request.signature_name, str)
    return request.inputs(signature(**inputs))


def rows_and_columns(value: Any) -> list[str]:
    """Returns `value` as the batch of the only input x, in every format."""
    return [
        json.dumps({"instances": value}),
        json.dumps({"instances": [{"x": row} for row in value]}, indent=2),
        json.dumps({"inputs": value}, separators=(",", ":")),
        json.dumps({"inputs": {"x": value}}),
        # Only the slower parsers accept these: a bare NaN in an ignored member, and trailing characters.
        json.dumps({"instances": value, "note": float("nan")}),
        json.dumps({"signature_name": "s", "instances": value}) + " trailing",
    ]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("DT_FLOAT", [[1, 2.5], [-3e-2, 1e300]]),
        ("DT_FLOAT", [0.1, 16777217, 18446744073709551615]),
        ("DT_DOUBLE", [0.1, 1e308, 2**53 + 1]),
        ("DT_HALF", [[0.1], [70000.0]]),
        ("DT_BFLOAT16", [1.0, 3.140625]),
        ("DT_INT64", [2**63 - 1, -(2**63), 2**53 + 1]),
        ("DT_UINT64", [2**64 - 1, 0]),
        ("DT_UINT32", [[2**32 - 1], [0]]),
        ("DT_INT32", [[[2**31 - 1]], [[-(2**31)]]]),
        ("DT_INT8", [-128, 127, 300]),
        ("DT_UINT8", [[255, 0], [1, 2]]),
        ("DT_INT16", [-32768, 32767]),
        ("DT_BOOL", [[True, False], [False, True]]),
    ],
)
def test_numbers_have_the_declared_dtype_in_every_format(dtype: str, value: list[Any]) -> None:
    wide = np.uint64 if dtype == "DT_UINT64" else np.int64 if "INT" in dtype else np.float64
    with np.errstate(over="ignore"):
        expected: np.ndarray = np.array(value, wide).astype(numpy_dtype(dtype))
    for body in rows_and_columns(value):
        array = read(body, x=dtype)["x"]
        assert array.dtype == numpy_dtype(dtype)
        np.testing.assert_array_equal(array, expected, body)


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ('{"instances": [1]}', (1,)),
        ('{"instances": [[]]}', (1, 0)),
        ('{"instances": [[[], []]]}', (1, 2, 0)),
        ('{"inputs": []}', (0,)),
        ('{"inputs": [[], []]}', (2, 0)),
        ('{"inputs": 3.5}', ()),
        ('{"inputs": {"x": -1}}', ()),
        ('{"inputs": {"x": [[[[[1]]]]], "unknown": 7}}', (1, 1, 1, 1, 1)),
        ('{"instances": [{"x": 1}, {"x": 2}]}', (2,)),
        ('{"inputs": [1, 2], "inputs": "the first key counts"}', (2,)),
    ],
)
def test_shapes_are_those_of_the_request(body: str, shape: tuple[int, ...]) -> None:
    assert read(body, x="DT_FLOAT")["x"].shape == shape


def test_nan_and_the_infinities_are_bare_words() -> None:
    array = read('{"instances": [NaN, Infinity, -Infinity, -NaN, Inf, -Inf, 1]}', x="DT_FLOAT")["x"]
    np.testing.assert_array_equal(array, [np.nan, np.inf, -np.inf, np.nan, np.inf, -np.inf, 1])


@pytest.mark.parametrize(
    "text",
    [b"", b"abc", "Grüße \U0001f600".encode(), b"\xff\xfe lone", b"\x80", b"a\x00b", b'"\\/\n', b"\xed\xa0\x80"],
    ids=repr,
)
@pytest.mark.parametrize("form", ["raw", "escaped", "base64"])
def test_strings_are_bytes(text: bytes, form: str) -> None:
    quoted = (
        b'"'
        + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n").replace(b"\0", b"\\u0000")
        + b'"'
    )
    if form == "escaped":
        quoted = json.dumps(text.decode(errors="ignore"), ensure_ascii=True).encode()
        text = text.decode(errors="ignore").encode()
    if form == "base64":
        quoted = b'{"b64": "' + base64.b64encode(text) + b'"}'
    for body in (
        b'{"instances": [%s, "b"]}',
        b'{"instances": [{"x": %s}, {"x": "b"}]}',
        b'{"inputs": {"x": [%s, {"b64": "Yg=="}]}}',
    ):
        assert read(body % quoted, x="DT_STRING")["x"].tolist() == [text, b"b"]


@pytest.mark.parametrize("encoded", ["YWI=", "YWI", " YW\nI= ", "YWI."])
def test_base64_needs_no_padding_and_may_hold_white_space(encoded: str) -> None:
    body = json.dumps({"inputs": {"b64": encoded}})
    assert read(body, x="DT_STRING")["x"].tolist() == b"ab"


def test_named_inputs_of_different_dtypes() -> None:
    rows = [{"id": "a", "image": [[0.5] * 600] * 2, "k": 3}, {"id": "b", "image": [[1.5] * 600] * 2, "k": 4}]
    columns = {name: [row[name] for row in rows] for name in ("k", "image", "id")}
    for body in ({"instances": rows}, {"inputs": columns}):
        arrays = read(json.dumps(body), id="DT_STRING", image="DT_FLOAT", k="DT_INT64")
        assert arrays["id"].tolist() == [b"a", b"b"]
        assert arrays["k"].tolist() == [3, 4]
        assert arrays["image"].shape == (2, 2, 600)
        assert arrays["image"][:, 1, 1].tolist() == [0.5, 1.5]


def test_fast_path_reads_large_arrays_but_not_ragged_ones() -> None:
    def is_fast(value: Any) -> bool:
        body = json.dumps(value).encode()
        try:
            read_numbers(body, parse(body), signature(x="DT_FLOAT").inputs)
        except UnsupportedLayoutError:
            return False
        return True

    row = [[1.5, -2e-3, 3.0]] * 300
    assert is_fast({"instances": [row, row]})
    assert is_fast({"instances": [{"x": row}, {"x": row}]})
    assert is_fast({"signature_name": "s", "inputs": {"x": [row]}})
    # The same number of numbers and lists as an array, but in different places.
    for ragged in (
        [[1, 2], [3], [4, 5, 6]], [[1, 2], [[3], 4]], [1, [2], 3], [[1, 2], [3, [4]]], [[[1], [2]], [[3, 4]]],
    ):  # fmt: skip
        assert not is_fast({"instances": ragged})
        with pytest.raises(ServeError):
            read(json.dumps({"inputs": ragged}), x="DT_FLOAT")


ONE = {"x": "DT_FLOAT"}
TWO = {"a": "DT_INT32", "b": "DT_STRING"}
ROW = "Failed to process element: "
LIST = " of 'instances' list. Error: INVALID_ARGUMENT: "
REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("", ONE, "JSON Parse error: The document is empty"),
    ("nothing", ONE, "JSON Parse error: Invalid value. at offset: 0"),
    ('{"instances": [1, 2}', ONE, "Missing a comma or ] after an array element. at offset: 19"),
    ('{"instances": [1, 2]', ONE, "Missing a comma or } after an object member. at offset: 20"),
    ('{"instances": [1,]}', ONE, "JSON Parse error: Invalid value. at offset: 17"),
    ('{"instances" [1]}', ONE, "Missing a colon after a name of object member."),
    ("{instances: [1]}", ONE, "Missing a name for object member. at offset: 1"),
    ('{"instances": ["abc]}', ONE, "Missing a closing quotation mark in string."),
    ('{"instances": ["\\x"]}', ONE, "Invalid escape character in string."),
    ('{"instances": ["\\u12g4"]}', ONE, "Incorrect hex digit after \\u escape in string."),
    ('{"instances": ["\\ud800"]}', ONE, "The surrogate pair in string is invalid."),
    ('{"instances": ["a\nb"]}', ONE, "Invalid encoding in string."),
    ('{"instances": [1e400]}', ONE, "Number too big to be stored in double. at offset: 15"),
    ('{"instances": [NaN, 1e400]}', ONE, "Number too big to be stored in double. at offset: 20"),
    ('{"instances": [1.]}', ONE, "Miss fraction part in number."),
    ('{"instances": [1e]}', ONE, "Miss exponent in number."),
    ("[1, 2]", ONE, "JSON Value: [1, 2] Is not object"),
    ("NaN", ONE, "JSON Value: NaN Is not object"),
    ("{}", ONE, "Missing 'inputs' or 'instances' key"),
    ('{"instances": [1], "inputs": [1]}', ONE, "Not formatted correctly expecting only one of 'inputs' or 'instances'"),
    ('{"instances": 1}', ONE, "Expecting 'instances' to be an list/array"),
    ('{"instances": {"x": 1}}', ONE, "Expecting 'instances' to be an list/array"),
    ('{"instances": []}', ONE, "No values in 'instances' array"),
    ('{"signature_name": 5, "instances": [1]}', ONE, "'signature_name' key must be a string value."),
    ('{"instances": [[1, 2], [3]]}', ONE, f"{ROW}1{LIST}Expecting tensor size: 2 but got: 1"),
    ('{"instances": [[[1, 2]], [[3], [4]]]}', ONE, f"{ROW}1{LIST}Expecting shape [1,2] but got: [2,1]"),
    ('{"instances": [[[1, 2], [3]]]}', ONE,
     f"{ROW}0{LIST}Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
    ('{"instances": [[1, [2]]]}', ONE, f"{ROW}0{LIST}Encountered list at unexpected level: 1 expected < 1"),
    ('{"instances": [[[1], 2]]}', ONE,
     f"{ROW}0{LIST}JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ('{"instances": [1, "a"]}', ONE, f'{ROW}1{LIST}JSON Value: "a" Type: String is not of expected type: float'),
    ('{"instances": [1, true]}', ONE, f"{ROW}1{LIST}JSON Value: true Type: True is not of expected type: float"),
    ('{"instances": [null]}', ONE, f"{ROW}0{LIST}JSON Value: null Type: Null is not of expected type: float"),
    ('{"inputs": [1.5]}', {"x": "DT_INT32"}, "JSON Value: 1.5 Type: Number is not of expected type: int32"),
    ('{"inputs": [1, 2.0]}', {"x": "DT_INT64"}, "JSON Value: 2.0 Type: Number is not of expected type: int64"),
    ('{"inputs": [2147483648]}', {"x": "DT_INT32"}, "is not of expected type: int32"),
    ('{"inputs": [2147483648]}', {"x": "DT_UINT8"}, "is not of expected type: uint8"),
    ('{"inputs": [-1]}', {"x": "DT_UINT32"}, "is not of expected type: uint32"),
    ('{"inputs": [9223372036854775808]}', {"x": "DT_INT64"}, "is not of expected type: int64"),
    ('{"inputs": [18446744073709551616]}', {"x": "DT_UINT64"}, "is not of expected type: uint64"),
    ('{"inputs": [1]}', {"x": "DT_BOOL"}, "JSON Value: 1 Type: Number is not of expected type: bool"),
    ('{"inputs": [1]}', {"x": "DT_STRING"}, "JSON Value: 1 Type: Number is not of expected type: string"),
    ('{"inputs": {"x": {"b64": "YQ=="}}}', ONE, "Type: Object is not of expected type: float"),
    ('{"inputs": {"x": [{"b64": "YQ==", "c": 1}]}}', {"x": "DT_STRING"}, "not formatted correctly for base64 data"),
    ('{"inputs": {"x": {"b64": "?"}}}', {"x": "DT_STRING"}, "Unable to base64 decode"),
    ('{"inputs": {"x": {"b64": "YWI=="}}}', {"x": "DT_STRING"}, "Unable to base64 decode"),
    ('{"inputs": {"y": 1}}', ONE, "Missing named input: x in 'inputs' object."),
    ('{"instances": [1]}', {}, "Failed to get input map for signature: DEFAULT"),
    ('{"instances": [1]}', TWO, "instances is a plain list, but expecting list of objects as multiple input tensors"),
    ('{"inputs": [1]}', TWO, "inputs is a plain value/list, but expecting an object as multiple input tensors"),
    ('{"instances": [{"a": 1}]}', TWO,
     f'{ROW}0 of \'instances\' list. JSON object: {{\n    "a": 1\n}} keys must be equal to: a,b'),
    ('{"instances": [{"a": 1, "b": "", "c": 2}]}', TWO,
     f"{ROW}0 key: c{LIST}JSON object: does not have named input: c"),
    ('{"instances": [{"a": 1, "b": ""}, 2]}', TWO, "Expecting object but got list at item 1 of input list"),
    ('{"instances": [1, {"x": 1}]}', ONE, "Expecting value/list but got object at item 1 of input list"),
    ('{"instances": [{"a": 1, "b": ""}, {"a": "", "b": ""}]}', TWO,
     f'{ROW}1 key: a{LIST}JSON Value: "" Type: String is not of expected type: int32'),
    ('{"instances": [{"a": 1, "b": "x"}, {"a": 1, "b": ["x"]}]}', TWO,
     f"{ROW}1 key: b{LIST}Expecting shape [] but got: [1]"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "inputs", "text"), REFUSED, ids=[case[0][:60] for case in REFUSED])
def test_incorrect_requests_are_refused_with_upstreams_text(body: str, inputs: dict[str, str], text: str) -> None:
    with pytest.raises(ServeError) as caught:
        read(body, **inputs)
    assert text in caught.value.message
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_dtype_without_json_form_is_unimplemented() -> None:
    with pytest.raises(ServeError, match=r"Conversion of JSON Value: 1 to type: complex64") as caught:
        read('{"inputs": [1]}', x="DT_COMPLEX64")
    assert caught.value.code is Code.UNIMPLEMENTED


DEEP = 100_000

NESTED = {
    "lists": "[" * DEEP + "]" * DEEP,
    "objects": '{"a":' * DEEP + "1" + "}" * DEEP,
}

UNEVEN = {
    "unclosed": "[" * DEEP,
    "ragged": "[" * DEEP + "1" + ", 2]" * DEEP,
}


@pytest.mark.parametrize("nested", NESTED)
def test_deep_nesting_in_an_ignored_member_is_accepted(nested: str) -> None:
    assert read(f'{{"instances": [1], "other": {NESTED[nested]}}}', x="DT_FLOAT")["x"].tolist() == [1]


@pytest.mark.parametrize("nested", [*NESTED, *UNEVEN])
@pytest.mark.parametrize("member", ["instances", "inputs", "signature_name"])
def test_deep_nesting_in_a_known_member_is_an_error(member: str, nested: str) -> None:
    with pytest.raises(ServeError) as caught:
        read(f'{{"{member}": {UNEVEN.get(nested) or NESTED[nested]}}}', x="DT_FLOAT")
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert len(caught.value.message) < 2000


def test_long_value_is_cut_in_messages() -> None:
    with pytest.raises(ServeError) as caught:
        read(json.dumps({"instances": 1, "other": ["x" * 50] * 100_000}), x="DT_FLOAT")
    assert len(caught.value.message) < 500


def test_byte_order_mark_is_skipped() -> None:
    assert read(b'\xef\xbb\xbf{"instances": [1]}', x="DT_FLOAT")["x"].tolist() == [1]
