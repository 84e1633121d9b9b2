"""Array expressions: Python literals, numpy constructors and arithmetic, evaluated without executing code.

`np.ones((2, 3), np.float32) * 0.5`, `[[1, 2], [3, 4]]`, `np.random.rand(1, 224, 224, 3).astype("float32")`.
"""

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tfx_export.errors import SpecError

_FUNCTIONS: dict[str, Callable[..., object]] = {
    **{
        name: getattr(np, name)
        for name in ("arange", "array", "asarray", "eye", "full", "identity", "linspace", "ones", "repeat", "reshape")
    },
    **{name: getattr(np, name) for name in ("stack", "concatenate", "tile", "zeros", "expand_dims", "transpose")},
    **{
        f"random.{name}": getattr(np.random, name)
        for name in ("rand", "randn", "randint", "random", "uniform", "normal")
    },
}
_METHODS = ("astype", "flatten", "ravel", "repeat", "reshape", "transpose")
_CONSTANTS: dict[str, object] = {
    **{
        name: getattr(np, name)
        for name in (
            *("float16", "float32", "float64", "int8", "int16", "int32", "int64"),
            *("uint8", "uint16", "uint32", "uint64", "complex64", "complex128", "bool_", "bytes_", "str_"),
            *("nan", "inf", "pi", "e", "newaxis"),
        )
    },
    "bool": np.bool_,
}
_OPERATORS: dict[type[ast.AST], Callable[..., object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def evaluate(text: str) -> Any:
    """Returns the value of `text`, a Python literal or an array. Raises SpecError if it is neither."""
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, ValueError, ArithmeticError, MemoryError, RecursionError) as error:
        raise SpecError(f"{text!r} is not a valid array expression: {error}", hint=_HINT) from None


_HINT = (
    "Allowed: literals, + - * / // %, the numpy functions "
    + ", ".join(f"np.{name}" for name in _FUNCTIONS)
    + f", array methods {', '.join(f'.{name}()' for name in _METHODS)} and .T, dtypes as np.float32 or 'float32'."
)


def _value(node: ast.expr) -> object:
    match node:
        case ast.Constant():
            return node.value
        case ast.List():
            return [_value(item) for item in node.elts]
        case ast.Tuple():
            return tuple(_value(item) for item in node.elts)
        case ast.Dict() if None not in node.keys:
            return {_value(key): _value(item) for key, item in zip(node.keys, node.values, strict=True) if key}
        case ast.UnaryOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_value(node.operand))
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
        case ast.Attribute():
            return _attribute(node)
        case ast.Call() if all(keyword.arg for keyword in node.keywords):
            arguments = [_value(argument) for argument in node.args]
            named = {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg}
            return _function(node.func)(*arguments, **named)
        case _:
            raise ValueError(f"{ast.unparse(node)!r} is not allowed")


def _function(node: ast.expr) -> Callable[..., object]:
    name = _numpy_name(node)
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    if name is None and isinstance(node, ast.Attribute) and node.attr in _METHODS:
        array = _value(node.value)
        if isinstance(array, np.ndarray):
            method: Callable[..., object] = getattr(array, node.attr)
            return method
    raise ValueError(f"{ast.unparse(node)!r} cannot be called")


def _attribute(node: ast.Attribute) -> object:
    name = _numpy_name(node)
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name is None and node.attr == "T" and isinstance(array := _value(node.value), np.ndarray):
        return array.T
    raise ValueError(f"{ast.unparse(node)!r} is not allowed")


def _numpy_name(node: ast.expr) -> str | None:
    """Returns `random.rand` for `np.random.rand`, and None for names outside numpy."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id in ("np", "numpy"):
        return ".".join(reversed(parts))
    return None
