"""TensorProto <-> ndarray, compared with TensorFlow's own reader (`tf.io.parse_tensor`)."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from serve.codec import tensor
from serve.codec.npy import read_npy, write_npy
from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.savedmodel.dtypes import dtype_name, dtype_number, from_numpy, numpy_dtype
from tfx_export.savedmodel.tensor import decode

NUMBERS = [
    "DT_FLOAT", "DT_DOUBLE", "DT_HALF", "DT_BFLOAT16", "DT_INT8", "DT_INT16", "DT_INT32", "DT_INT64", "DT_UINT8",
    "DT_UINT16", "DT_UINT32", "DT_UINT64", "DT_BOOL", "DT_COMPLEX64", "DT_COMPLEX128",
]  # fmt: skip
# Numbers with 8 bits or fewer.
SMALL = [
    "DT_FLOAT8_E5M2", "DT_FLOAT8_E4M3FN", "DT_FLOAT8_E4M3FNUZ", "DT_FLOAT8_E4M3B11FNUZ", "DT_FLOAT8_E5M2FNUZ",
    "DT_FLOAT4_E2M1FN", "DT_INT4", "DT_UINT4", "DT_INT2", "DT_UINT2",
]  # fmt: skip
QUANTISED = ["DT_QINT8", "DT_QUINT8", "DT_QINT16", "DT_QUINT16", "DT_QINT32"]
FIELDS = {
    "float_val": [1.5, -2.0, math.inf], "double_val": [0.1, 2.0], "int_val": [-1, 7, 300, -70000],
    "int64_val": [-(2**63), 2**53 + 1], "uint32_val": [2**32 - 1], "uint64_val": [2**64 - 1, 3],
    "bool_val": [True, False], "half_val": [15360, 49152], "scomplex_val": [1.0, 2.0, 3.0],
    "dcomplex_val": [1.0, -1.0, 0.5, 0.25], "string_val": [b"a", b"\xff\x00"],
    "float8_val": b"\x38\x02\x05",
}  # fmt: skip


def proto(dtype: str, shape: list[int], **fields: Any) -> wire.TensorProto:
    message = wire.TensorProto(dtype=dtype_number(dtype), **fields)
    message.tensor_shape.SetInParent()
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


def tensorflow_reads(message: wire.TensorProto) -> np.ndarray:
    import tensorflow as tf

    value = tf.io.parse_tensor(message.SerializeToString(), tf.as_dtype(message.dtype))
    return np.asarray(value.numpy(), object if message.dtype == 7 else None)


def same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return ours.shape == theirs.shape and ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("shape", [[], [1], [2, 2], [0], [3, 0, 2]], ids=str)
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("dtype", [*NUMBERS, *QUANTISED, *SMALL, "DT_STRING"])
def test_every_field_is_read_like_tensorflow(dtype: str, field: str, shape: list[int]) -> None:
    message = proto(dtype, shape, **{field: FIELDS[field]})
    ours = tensor.decode(message)
    # TensorFlow returns the integers of a quantized tensor.
    assert same(ours.view(numpy_dtype(dtype)) if ours.dtype.names else ours, tensorflow_reads(message))


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 200])
@pytest.mark.parametrize("dtype", [*NUMBERS, "DT_STRING"])
def test_missing_values_repeat_the_last_and_additional_ones_are_dropped(dtype: str, count: int) -> None:
    field = tensor.encode(np.array([b"%d" % (n % 100) for n in range(count)], object)
                          if dtype == "DT_STRING" else _sample(dtype, count))  # fmt: skip
    field.tensor_shape.CopyFrom(proto(dtype, [2, 3]).tensor_shape)
    assert same(tensor.decode(field), tensorflow_reads(field))


@pytest.mark.parametrize("as_content", [False, True], ids=["values", "content"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 50), (0,), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("dtype", [*NUMBERS, "DT_STRING"])
def test_encoded_arrays_are_read_by_tensorflow_and_by_us(dtype: str, shape: tuple[int, ...], as_content: bool) -> None:
    array = _sample(dtype, math.prod(shape)).reshape(shape)
    message = tensor.encode(array, as_content=as_content)
    assert dtype_name(message.dtype) == dtype
    assert bool(message.tensor_content) == (as_content and array.size > 0)
    assert same(tensor.decode(message), array)
    assert same(tensorflow_reads(message), array)


@pytest.mark.parametrize("dtype", QUANTISED)
def test_quantised_dtypes_keep_their_dtype_and_become_integers_for_clients(dtype: str) -> None:
    message = proto(dtype, [3], int_val=[1, 2])
    array = tensor.decode(message)
    assert from_numpy(array.dtype) == dtype
    for as_content in (False, True):
        encoded = tensor.encode(array, as_content=as_content)
        assert encoded.dtype == message.dtype
        assert bool(encoded.tensor_content) == as_content
        assert decode(encoded).tolist() == [1, 2, 2]
    assert tensor.encode(decode(message), dtype=dtype).dtype == message.dtype


@pytest.mark.parametrize("values", [[-1, 0, 1], [127, 128], [2**14 - 1, 2**14], [2**31 - 1, -(2**31)]], ids=str)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers_of_every_varint_length_are_encoded(dtype: type, values: list[int]) -> None:
    array: np.ndarray = np.array(values * 100, dtype)
    field = "int_val" if dtype is np.int32 else "int64_val"
    message = tensor.encode(array)
    assert list(getattr(message, field)) == array.tolist()
    assert same(tensor.decode(message), array)


def test_arrays_in_any_memory_order_are_encoded() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T[::-1]
    assert same(tensor.decode(tensor.encode(array)), array)
    assert same(tensor.decode(tensor.encode(array, as_content=True)), array)


def test_decoded_array_does_not_change_with_the_message() -> None:
    message = proto("DT_FLOAT", [100], float_val=range(100))
    array = tensor.decode(message)
    message.float_val[0] = 7
    del message
    assert array[0] == 0


@pytest.mark.parametrize("sizes", [[], [2]], ids=str)
def test_an_unknown_rank_has_no_effect_as_in_tensorflow(sizes: list[int]) -> None:
    message = proto("DT_FLOAT", sizes, float_val=[1, 2])
    message.tensor_shape.unknown_rank = True
    assert tensor.decode(message).shape == tuple(sizes)
    assert same(tensor.decode(message), tensorflow_reads(message))


HOSTILE = {
    "a huge shape with no data": (proto("DT_FLOAT", [1 << 40]), "at most"),
    "a huge shape with one value": (proto("DT_INT64", [1 << 20, 1 << 20], int64_val=[1]), "at most"),
    "a shape beyond 64 bits": (proto("DT_FLOAT", [1 << 62, 1 << 62, 4]), "at most"),
    "an empty shape beyond 64 bits": (proto("DT_DOUBLE", [0, 1 << 62, 1 << 62]), "too large"),
    "a negative dimension": (proto("DT_FLOAT", [-1], float_val=[1]), "negative"),
    "two negative dimensions": (proto("DT_FLOAT", [-2, -3]), "negative"),
    "too many dimensions": (proto("DT_FLOAT", [1] * 255), "dimensions"),
    "content too short": (proto("DT_FLOAT", [2], tensor_content=b"\0" * 7), "7 bytes, expected 8"),
    "content too long": (proto("DT_FLOAT", [2], tensor_content=b"\0" * 9), "9 bytes, expected 8"),
    "more strings than bytes": (proto("DT_STRING", [1 << 25], tensor_content=b"\1a"), "too few"),
    "strings cut off": (proto("DT_STRING", [2], tensor_content=b"\1\5abc"), "does not hold"),
    "strings and more bytes": (proto("DT_STRING", [1], tensor_content=b"\1ab"), "does not hold"),
    "an endless string length": (proto("DT_STRING", [1], tensor_content=b"\xff" * 40), "does not hold"),
    "no dtype": (wire.TensorProto(), "DT_INVALID"),
    "a resource": (wire.TensorProto(dtype=dtype_number("DT_RESOURCE")), "DT_RESOURCE"),
    "a reference": (wire.TensorProto(dtype=dtype_number("DT_FLOAT_REF")), "DT_FLOAT_REF"),
    "a dtype from the future": (wire.TensorProto(dtype=99), "DT_INVALID"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_invalid_tensor_is_an_invalid_argument(case: str) -> None:
    message, text = HOSTILE[case]
    with pytest.raises(ServeError, match=text) as caught:
        tensor.decode(message)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_limit_on_elements() -> None:
    message = proto("DT_BOOL", [1000], bool_val=[True])
    with pytest.raises(ServeError, match="at most 999"):
        tensor.decode(message, max_elements=999)
    assert tensor.decode(message, max_elements=1000).all()
    assert tensor.decode(message, max_elements=0).all()


def test_error_names_the_input() -> None:
    good, bad = proto("DT_FLOAT", []), proto("DT_FLOAT", [-1])
    with pytest.raises(ServeError, match="tensor parsing error: x "):
        tensor.decode_all({"a": good, "x": bad})
    assert tensor.decode_all({"a": good})["a"].shape == ()


def test_array_without_a_tensorflow_dtype_is_unimplemented() -> None:
    with pytest.raises(ServeError, match="datetime64") as caught:
        tensor.encode(np.zeros(1, "datetime64[s]"))
    assert caught.value.code is Code.UNIMPLEMENTED


def _sample(dtype: str, count: int) -> np.ndarray:
    """Returns `count` distinct values that `dtype` can hold exactly."""
    numbers = np.arange(count) % 100 - (0 if "UINT" in dtype else 50)
    if dtype == "DT_STRING":
        strings = np.empty(count, object)
        strings[:] = [b"\xff%d" % n * (n % 5) for n in range(count)]
        return strings
    names = {"DT_BFLOAT16": ml_dtypes.bfloat16, "DT_HALF": "f2", "DT_FLOAT": "f4", "DT_DOUBLE": "f8"}
    return numbers.astype(names.get(dtype, dtype[3:].lower()))


@pytest.mark.parametrize("dtype", [*NUMBERS, *SMALL])
def test_every_dtype_of_numbers_can_be_read_from_the_npy_file_that_is_written(dtype: str) -> None:
    array = np.zeros((2, 3), numpy_dtype(dtype))
    assert same(read_npy(write_npy(array), dtype), array)


def test_npy_bodies_of_other_dtypes_are_refused() -> None:
    integers = write_npy(np.array([1, 2], np.int8))
    assert from_numpy(read_npy(integers, "DT_QINT8").dtype) == "DT_QINT8"
    for body, dtype in ((integers, "DT_VARIANT"), (write_npy(np.zeros(2, "V4")), "DT_FLOAT")):
        with pytest.raises(ServeError, match=f"The input is {dtype}") as caught:
            read_npy(body, dtype)
        assert caught.value.code is Code.INVALID_ARGUMENT
