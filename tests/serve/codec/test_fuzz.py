"""Any input of a codec gives a result or a ServeError, and everything that is written can be read again."""

import gzip
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from serve.codec import tensor
from serve.codec.json import parse_lenient
from serve.codec.json.arrays import to_array
from serve.codec.json.example_request import read_examples
from serve.codec.json.parse import as_python, parse
from serve.codec.json.predict_request import JsonRequest
from serve.codec.json.response import predictions
from serve.codec.npy import read_npy
from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.savedmodel.dtypes import dtype_name, numpy_dtype
from tfx_export.savedmodel.signature import PREDICT, Signature, TensorSpec

# The same examples in each run, and no time limit for an example.
bounded = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

DTYPES = ["DT_FLOAT", "DT_DOUBLE", "DT_INT32", "DT_INT64", "DT_UINT8", "DT_UINT64", "DT_BOOL", "DT_STRING"]
NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=True), st.booleans())
LEAVES = st.one_of(st.none(), NUMBERS, st.text(max_size=5), st.just({"b64": "YQ=="}))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abx"), inner)),
    max_leaves=12,
)


def signature(*dtypes: str) -> Signature:
    inputs = {name: TensorSpec(f"{name}:0", dtype, None) for name, dtype in zip("abx", dtypes, strict=False)}
    return Signature("s", PREDICT, inputs, {})


def outcome(body: bytes, wanted: Signature) -> Any:
    """Returns the arrays as lists, or the error message."""
    try:
        arrays = JsonRequest(body).inputs(wanted)
    except ServeError as error:
        assert error.code in (Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)  # noqa: PT017
        return error.message
    return {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in arrays.items()}


@bounded
@given(
    key=st.sampled_from(["instances", "inputs"]),
    value=VALUES,
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=1, max_size=2),
)
def test_fast_path_and_python_values_give_the_same_result(key: str, value: Any, dtypes: list[str]) -> None:
    body = json.dumps({key: value}).encode()
    # simdjson does not parse the bare NaN in the ignored member, so the fast path is not used.
    with_nan = json.dumps({key: value, "ignored": math.nan}).encode()
    fast, slow = outcome(body, signature(*dtypes)), outcome(with_nan, signature(*dtypes))
    if not (isinstance(fast, str) and "JSON Value: {" in fast):  # a message may quote the document
        assert fast == slow


@bounded
@given(value=VALUES)
def test_all_parsers_give_the_same_result(value: Any) -> None:
    body = json.dumps({"v": value}).encode()
    assert repr(parse_lenient.parse(body)) == repr(as_python(parse(body)))


@bounded
@given(shape=hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), cut=st.integers(0, 400), data=st.data())
def test_ragged_numbers_are_always_refused(shape: tuple[int, ...], cut: int, data: st.DataObject) -> None:
    nested = np.arange(math.prod(shape)).reshape(shape).tolist()
    inner = nested
    for _ in range(data.draw(st.integers(0, len(shape) - 1))):
        inner = inner[data.draw(st.integers(0, len(inner) - 1))]
    inner.append(data.draw(st.sampled_from([inner[0], [], [1], 1])))
    try:
        expected: Any = np.array(nested, np.float32)
    except ValueError:
        expected = None
    body = json.dumps({"inputs": nested}).encode()
    if expected is None:
        assert isinstance(outcome(body, signature("DT_FLOAT")), str)
    else:
        np.testing.assert_array_equal(JsonRequest(body).inputs(signature("DT_FLOAT"))["a"], expected)


@bounded
@given(body=st.one_of(st.binary(max_size=60), st.text('{}[]",:0123456789.eE-+ \\nulltrfasNIiy"ab64', max_size=60)))
@pytest.mark.parametrize("dtype", ["DT_FLOAT", "DT_STRING"])
def test_any_bytes_as_json(dtype: str, body: bytes | str) -> None:
    raw = body if isinstance(body, bytes) else body.encode()
    outcome(raw, signature(dtype))
    outcome(b'{"instances": ' + raw + b"}", signature(dtype))
    try:
        read_examples(JsonRequest(b'{"examples": ' + raw + b"}"))
    except ServeError as error:
        assert error.code is Code.INVALID_ARGUMENT  # noqa: PT017


@bounded
@given(dtype=st.sampled_from(["f4", "f8", "i4", "i8", "u8", "?"]), data=st.data(), row_format=st.booleans())
def test_written_arrays_can_be_read(dtype: str, data: st.DataObject, row_format: bool) -> None:
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)))
    body = predictions({"y": array}, row_format)
    value = json.loads(body)["predictions" if row_format else "outputs"]
    read_again = to_array(value, dtype_name(tensor.encode(array).dtype))
    np.testing.assert_array_equal(read_again, array)
    np.testing.assert_array_equal(tensor.decode(tensor.encode(array)), array)
    np.testing.assert_array_equal(tensor.decode(tensor.encode(array, as_content=True)), array)


@bounded
@given(
    strings=st.lists(st.one_of(st.binary(max_size=6), st.text(max_size=6).map(str.encode)), min_size=1, max_size=4),
    name=st.sampled_from(["y", "y_bytes"]),
)
def test_written_strings_can_be_read(strings: list[bytes], name: str) -> None:
    array = np.empty(len(strings), object)
    array[:] = strings
    body = predictions({name: array}, False).replace(b'"outputs"', b'"inputs"')
    assert JsonRequest(body).inputs(signature("DT_STRING"))["a"].tolist() == strings


@bounded
@given(
    dtype=st.integers(0, 40),
    shape=st.lists(st.integers(-2, 2**62) | st.integers(0, 4), max_size=4),
    content=st.binary(max_size=20),
    values=st.lists(st.integers(0, 2**31 - 1), max_size=5),
)
def test_any_tensor_proto(dtype: int, shape: list[int], content: bytes, values: list[int]) -> None:
    message = wire.TensorProto(dtype=dtype, int_val=values, tensor_content=content)
    message.tensor_shape.SetInParent()
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    try:
        array = tensor.decode(message, max_elements=1000)
    except ServeError as error:
        assert error.code is Code.INVALID_ARGUMENT  # noqa: PT017
    else:
        assert array.shape == tuple(shape)
        assert array.size <= 1000


@bounded
@given(
    body=st.binary(max_size=200),
    header=st.text("(){}[]',:<>|0123456789fiUSOdescrshapefortran_orderTrueFalse ", max_size=80),
)
def test_any_bytes_as_npy(body: bytes, header: str) -> None:
    text = header.encode()
    for raw in (body, b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body):
        try:
            assert read_npy(raw, "DT_FLOAT").dtype == numpy_dtype("DT_FLOAT")
        except ServeError as error:
            assert error.code is Code.INVALID_ARGUMENT  # noqa: PT017


@bounded
@given(body=st.binary(max_size=100), cut=st.integers(0, 120))
def test_any_bytes_as_gzip(body: bytes, cut: int) -> None:
    from serve.transport.rest.message import _decompress

    assert _decompress(gzip.compress(body), "gzip", 0) == body
    for raw in (body, gzip.compress(body)[:cut], gzip.compress(body) + body):
        try:
            _decompress(raw, "gzip", 50)
        except ServeError as error:
            assert error.code is Code.INVALID_ARGUMENT  # noqa: PT017
