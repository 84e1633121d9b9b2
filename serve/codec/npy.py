"""Reads and writes numpy's file format, without pickles."""

import io
import math
import tokenize

import numpy as np
from numpy.lib import format as npy

from serve.errors import Code, ServeError
from tfx_export.savedmodel.dtypes import input_dtype, numpy_dtype
from tfx_export.savedmodel.tensor import Array


def read_npy(body: bytes, dtype: str) -> Array:
    """Returns the array in `body` as `dtype` (`DT_FLOAT`).

    Raises INVALID_ARGUMENT if `body` is not a valid npy file or holds another kind of number.
    """
    file = io.BytesIO(body)
    try:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, stored = read_header(file)
        if stored.hasobject:
            raise ValueError("it holds Python objects")
        data = memoryview(body)[file.tell() :]
        # The shape is only a claim. It is compared with the size of the body before anything is allocated.
        if math.prod(shape) * stored.itemsize != len(data) or any(size < 0 for size in shape):
            raise ValueError(f"shape {list(shape)} needs {math.prod(shape) * stored.itemsize} bytes, not {len(data)}")
        array: Array = np.frombuffer(data, stored) if len(data) else np.empty(0, stored)
        array = array.reshape(shape, order="F" if fortran_order else "C")
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ServeError(Code.INVALID_ARGUMENT, f"The body is not a valid npy array: {error}") from None
    return _cast(array, dtype)


def write_npy(array: Array) -> bytes:
    """Returns `array` as an npy file. Strings become bytes of fixed length."""
    file = io.BytesIO()
    if array.dtype == np.object_:
        array = array.astype(np.bytes_)
    elif array.dtype.isbuiltin == 2:  # a dtype of ml_dtypes, whose name numpy cannot read
        array = array.view(f"V{array.dtype.itemsize}")
    npy.write_array(file, np.asarray(array), allow_pickle=False)
    return file.getvalue()


def _cast(array: Array, dtype: str) -> Array:
    if dtype == "DT_STRING" and array.dtype.kind in "SU":
        strings = np.empty(array.size, np.object_)
        strings[:] = [text.encode() if isinstance(text, str) else text for text in array.ravel().tolist()]
        return strings.reshape(array.shape)
    try:
        wanted = numpy_dtype(dtype)
    except KeyError:
        raise ServeError(Code.INVALID_ARGUMENT, f"The input is {dtype}, which an npy body cannot hold") from None
    # numpy writes the dtypes of ml_dtypes as bytes without a type.
    if wanted.isbuiltin == 2 and array.dtype == f"V{wanted.itemsize}":
        return array.view(wanted)
    # numpy uses float64 and int64 by default, so other sizes are converted; another kind of number is a mistake.
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise ServeError(Code.INVALID_ARGUMENT, f"The input is {dtype}, the array is {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(wanted, copy=False).view(input_dtype(dtype))
