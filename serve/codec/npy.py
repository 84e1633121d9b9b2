"""numpy's own file format, without pickles."""

import io
import math
import tokenize

import numpy as np
from numpy.lib import format as npy

from serve.errors import Code, ServeError
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.tensor import Array


def read_npy(body: bytes, dtype: str) -> Array:
    """The array in `body` as `dtype` (`DT_FLOAT`). INVALID_ARGUMENT if there is none, or of another kind of number."""
    file = io.BytesIO(body)
    try:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, stored = read_header(file)
        if stored.hasobject:
            raise ValueError("it holds Python objects")
        data = memoryview(body)[file.tell() :]
        # The shape is only a claim: it is compared with what was sent before anything is allocated.
        if math.prod(shape) * stored.itemsize != len(data) or any(size < 0 for size in shape):
            raise ValueError(f"shape {list(shape)} needs {math.prod(shape) * stored.itemsize} bytes, not {len(data)}")
        array: Array = np.frombuffer(data, stored) if len(data) else np.empty(0, stored)
        array = array.reshape(shape, order="F" if fortran_order else "C")
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ServeError(Code.INVALID_ARGUMENT, f"The body is no npy array: {error}") from None
    return _cast(array, dtype)


def write_npy(array: Array) -> bytes:
    """`array` as an npy file; strings as bytes of fixed length."""
    file = io.BytesIO()
    if array.dtype == np.object_:
        array = array.astype(np.bytes_)
    npy.write_array(file, np.asarray(array), allow_pickle=False)
    return file.getvalue()


def _cast(array: Array, dtype: str) -> Array:
    if dtype == "DT_STRING" and array.dtype.kind in "SU":
        strings = np.empty(array.size, np.object_)
        strings[:] = [text.encode() if isinstance(text, str) else text for text in array.ravel().tolist()]
        return strings.reshape(array.shape)
    wanted = numpy_dtype(dtype)
    # numpy makes float64 and int64 unasked; what is of another kind is a mistake.
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise ServeError(Code.INVALID_ARGUMENT, f"The input is {dtype}, the array is {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(wanted, copy=False)
