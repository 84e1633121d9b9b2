"""TensorFlow's dtypes: the number on the wire (1), the name here and in saved_model_cli (`DT_FLOAT`), the name in
messages (`float`), and the numpy dtype (`float32`).

numpy is imported by the functions that need it, because reading signatures does not.
"""

from functools import cache
from typing import TYPE_CHECKING

from tfx_export.wire import POOL

if TYPE_CHECKING:
    import numpy as np

QUANTIZED = frozenset({"DT_QINT8", "DT_QUINT8", "DT_QINT16", "DT_QUINT16", "DT_QINT32"})
# Numbers with 8 bits or fewer, one in a byte.
_SMALL = (
    *("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "float4_e2m1fn"),
    *("int4", "uint4", "int2", "uint2"),
)

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
        # Older releases of ml_dtypes lack some of them.
        **{f"DT_{name.upper()}": np.dtype(getattr(ml_dtypes, name)) for name in _SMALL if hasattr(ml_dtypes, name)},
    }


@cache
def _quantized_dtypes() -> "dict[str, np.dtype]":
    import numpy as np

    return {name: np.dtype([(type_string(name), numpy_dtype(name))]) for name in QUANTIZED}


@cache
def _names() -> "dict[np.dtype, str]":
    names = {dtype: name for name, dtype in reversed(_numpy_dtypes().items())}
    return {**names, **{dtype: name for name, dtype in _quantized_dtypes().items()}}


def dtype_name(number: int) -> str:
    """Returns `DT_FLOAT` for 1, and `DT_INVALID` for an unknown number."""
    value = _ENUM.values_by_number.get(number)
    return value.name if value else "DT_INVALID"


def dtype_number(name: str) -> int:
    """Returns 1 for `DT_FLOAT`. Raises KeyError if there is no such dtype."""
    return int(_ENUM.values_by_name[name].number)


def type_string(name: str) -> str:
    """Returns `float` for `DT_FLOAT`, as DataTypeString of TensorFlow does; messages and listings name dtypes so."""
    return name.removeprefix("DT_").lower()


@cache
def numpy_dtype(name: str) -> "np.dtype":
    """Returns `float32` for `DT_FLOAT`; strings are `object` (bytes). Raises KeyError for resources and variants."""
    return _numpy_dtypes()[name.removesuffix("_REF")]


def has_numpy_dtype(name: str) -> bool:
    """Whether numpy_dtype knows `name`."""
    return name in _numpy_dtypes()


@cache
def input_dtype(name: str) -> "np.dtype":
    """Returns the dtype of arrays that a session takes for an input: TensorFlow's own ones for quantized dtypes.

    For the other dtypes, and for all outputs, it is `numpy_dtype`. Raises KeyError for resources and variants.
    """
    name = name.removesuffix("_REF")
    return _quantized_dtypes()[name] if name in QUANTIZED else numpy_dtype(name)


def from_numpy(dtype: "np.dtype") -> str:
    """Returns `DT_FLOAT` for `float32`. Arrays of objects, bytes or text are strings, and
    those of TensorFlow's quantized dtypes keep their dtype.

    Raises KeyError for a dtype that TensorFlow does not have.
    """
    return "DT_STRING" if dtype.kind in "OSU" else _names()[dtype]
