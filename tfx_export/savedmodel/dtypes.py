"""TensorFlow's dtypes: number on the wire, name in saved_model_cli (`DT_FLOAT`), numpy dtype.

numpy is imported by the functions that need it: reading signatures waits for nothing.
"""

from functools import cache
from typing import TYPE_CHECKING

from tfx_export.wire import POOL

if TYPE_CHECKING:
    import numpy as np

_ENUM = POOL.FindEnumTypeByName("tensorflow.DataType")


@cache
def _numpy_dtypes() -> "dict[str, np.dtype]":
    import ml_dtypes
    import numpy as np

    return {
        "DT_FLOAT": np.dtype(np.float32),
        "DT_DOUBLE": np.dtype(np.float64),
        "DT_HALF": np.dtype(np.float16),
        "DT_BFLOAT16": np.dtype(ml_dtypes.bfloat16),
        "DT_INT8": np.dtype(np.int8),
        "DT_INT16": np.dtype(np.int16),
        "DT_INT32": np.dtype(np.int32),
        "DT_INT64": np.dtype(np.int64),
        "DT_UINT8": np.dtype(np.uint8),
        "DT_UINT16": np.dtype(np.uint16),
        "DT_UINT32": np.dtype(np.uint32),
        "DT_UINT64": np.dtype(np.uint64),
        "DT_BOOL": np.dtype(np.bool_),
        "DT_COMPLEX64": np.dtype(np.complex64),
        "DT_COMPLEX128": np.dtype(np.complex128),
        "DT_QINT8": np.dtype(np.int8),
        "DT_QUINT8": np.dtype(np.uint8),
        "DT_QINT16": np.dtype(np.int16),
        "DT_QUINT16": np.dtype(np.uint16),
        "DT_QINT32": np.dtype(np.int32),
        "DT_STRING": np.dtype(object),
    }


@cache
def _names() -> "dict[np.dtype, str]":
    return {dtype: name for name, dtype in reversed(_numpy_dtypes().items())}


def dtype_name(number: int) -> str:
    """`1` -> `DT_FLOAT`; a number this table does not know -> `DT_INVALID`."""
    value = _ENUM.values_by_number.get(number)
    return value.name if value else "DT_INVALID"


def dtype_number(name: str) -> int:
    """`DT_FLOAT` -> `1`. KeyError if there is no such dtype."""
    return int(_ENUM.values_by_name[name].number)


@cache
def numpy_dtype(name: str) -> "np.dtype":
    """`DT_FLOAT` -> `float32`; strings are `object` (bytes). KeyError for resources and variants."""
    return _numpy_dtypes()[name.removesuffix("_REF")]


def from_numpy(dtype: "np.dtype") -> str:
    """`float32` -> `DT_FLOAT`; numpy's own byte and text strings are strings. KeyError for what TensorFlow has not."""
    return "DT_STRING" if dtype.kind in "OSU" else _names()[dtype]
