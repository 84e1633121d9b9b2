"""The JSON of predict responses."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from serve.codec.json import text as json_text
from serve.codec.json.response import predictions
from serve.errors import Code, ServeError


def text(value: Any, dtype: Any = None, name: str = "y", row_format: bool = True) -> str:
    """Returns the JSON after the key."""
    body = predictions({name: np.array(value, dtype)}, row_format)
    key = b"predictions" if row_format else b"outputs"
    assert body.startswith(b'{\n    "' + key + b'": ')
    assert body.endswith(b"\n}")
    return body[len(key) + 10 : -2].decode()


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([0.2, 1, 16777216, -0.0], "f4", "[0.2,1.0,16777216.0,-0.0]"),
        ([0.2, 1 / 3], "f8", "[0.2,0.3333333333333333]"),
        ([0.5, 2], "f2", "[0.5,2.0]"),
        ([1.5], ml_dtypes.bfloat16, "[1.5]"),
        ([[1, 2], [3, 4]], "i4", "[[1,2],[3,4]]"),
        ([2**63 - 1], "i8", "[9223372036854775807]"),
        ([2**64 - 1], "u8", "[18446744073709551615]"),
        ([255], "u1", "[255]"),
        ([True, False], "?", "[true,false]"),
        ([[], []], "f4", "[[],[]]"),
        ([np.nan, 1, np.inf, -np.inf], "f4", "[NaN,1.0,Infinity,-Infinity]"),
        ([[np.nan, 0.2]], "f8", "[[NaN,0.2]]"),
        ([b"a", b'"\n'], object, '["a","\\"\\n"]'),
        ([["Gr\u00fc\u00dfe".encode()]], object, '[["Grüße"]]'),
    ],
)
def test_numbers_are_as_short_as_they_can_be_read_back_exactly(value: Any, dtype: Any, expected: str) -> None:
    assert text(value, dtype) == text(value, dtype, row_format=False) == expected


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [(0.2, "f4", "0.2"), (7, "i8", "7"), (np.nan, "f4", "NaN"), (-np.inf, "f8", "-Infinity"), (True, "?", "true"),
     (b"s", object, '"s"')],
)  # fmt: skip
def test_scalars_need_the_columnar_format(value: Any, dtype: Any, expected: str) -> None:
    assert text(value, dtype, row_format=False) == expected
    with pytest.raises(ServeError, match="Tensor name: y has no shape information"):
        text(value, dtype)


def test_outputs_named_bytes_are_base64() -> None:
    assert text([b"\xff\x00"], object, name="image_bytes") == '[{"b64":"/wA="}]'
    assert text([1], "i4", name="n_bytes") == "[1]"
    body = predictions({"label": np.array([b"a\xffb\x01"], object)}, True)
    assert b'"a\xffb\\u0001"' in body


@pytest.mark.parametrize("score", [0.5, np.nan, np.inf])
def test_several_outputs_are_objects(score: float) -> None:
    outputs = {
        "classes": np.array([[b"null", b"b"], [b"NaN", b"d"]], object),
        "scores": np.array([[score, 1], [0.25, 0]], "f4"),
        "n": np.array([1, 2]),
        "t_bytes": np.array([b"x", b"y"], object),
    }
    x, y = {"b64": "eA=="}, {"b64": "eQ=="}
    word = json.loads(json_text.number(score))
    rows = json.loads(predictions(outputs, True))["predictions"]
    assert str(rows) == str(
        [{"classes": ["null", "b"], "scores": [word, 1.0], "n": 1, "t_bytes": x},
         {"classes": ["NaN", "d"], "scores": [0.25, 0.0], "n": 2, "t_bytes": y}]
    )  # fmt: skip
    columns = json.loads(predictions(outputs, False))["outputs"]
    assert str(columns["scores"]) == str([[word, 1.0], [0.25, 0.0]])
    assert columns["t_bytes"] == [x, y]


def test_arrays_in_any_memory_order_are_written() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    assert text(array) == "[[0.0,3.0],[1.0,4.0],[2.0,5.0]]"


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "Tensor name: b has inconsistent batch size: 3 expecting: 2"),
        ({"a": np.zeros(2, "c8")}, "Failed to write JSON value for tensor type: complex64"),
        ({"a": np.zeros(2, ml_dtypes.float8_e5m2)}, "Failed to write JSON value for tensor type: float8_e5m2"),
        ({"a": np.zeros(2), "b": np.zeros(2, ml_dtypes.float8_e5m2)}, "for tensor type: float8_e5m2"),
        ({"a": np.zeros(2, ml_dtypes.int4)}, "Failed to write JSON value for tensor type: int4"),
    ],
)
def test_outputs_without_json_form_are_invalid_argument(outputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ServeError, match=message) as caught:
        predictions(outputs, True)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_error_messages_keep_invalid_utf8() -> None:
    assert json_text.error('a "b"\udcff') == b'{\n    "error": "a \\"b\\"\xff"\n}'
