"""The JSON of a predict request: row format (`instances`) and columnar format (`inputs`), named or bare."""

from collections.abc import Mapping
from typing import Any, NoReturn

import simdjson

from serve.codec.json import text as json_text
from serve.codec.json.arrays import MAX_DEPTH, RowError, dense, dense_rows, is_base64
from serve.codec.json.fast_path import read_numbers
from serve.codec.json.parse import as_python, parse
from serve.errors import Code, ServeError
from tfx_export.savedmodel.signature import Signature, TensorSpec
from tfx_export.savedmodel.tensor import Array


class JsonRequest:
    """A request body that is a JSON object; what its members mean is asked of it one by one.

    Every failure is a ServeError INVALID_ARGUMENT with upstream's text.
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.document = parse(body)
        if not isinstance(self.document, dict | simdjson.Object):
            self.fail("Is not object")
        self._names = frozenset(self.document.keys())

    def __contains__(self, name: str) -> bool:
        return name in self._names

    @property
    def signature_name(self) -> str:
        """The signature asked for; empty for the default one."""
        if "signature_name" not in self:
            return ""
        name = self.document["signature_name"]
        if not isinstance(name, str):
            self.fail("not formatted correctly. 'signature_name' key must be a string value.")
        return name

    @property
    def is_row_format(self) -> bool:
        return "instances" in self

    def inputs(self, signature: Signature, max_depth: int = MAX_DEPTH) -> dict[str, Array]:
        """The inputs of a predict request, of the dtypes that `signature` declares and the shapes that were sent."""
        specs = signature.inputs
        if not specs:
            raise _invalid(f"Failed to get input map for signature: {self.signature_name or 'DEFAULT'}")
        if "instances" not in self and "inputs" not in self:
            raise _invalid("Missing 'inputs' or 'instances' key")
        if "instances" in self and "inputs" in self:
            self.fail("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
        arrays = read_numbers(self.body, self.document, specs)
        # What may be too deep is left to those who count the levels and say so.
        if arrays is not None and max(array.ndim for array in arrays.values()) <= max_depth:
            return arrays
        if not self.is_row_format:
            return _columnar(as_python(self.document["inputs"]), specs, max_depth)
        rows = as_python(self.document["instances"])
        if type(rows) is not list:
            self.fail("Expecting 'instances' to be an list/array")
        if not rows:
            self.fail("No values in 'instances' array")
        if type(rows[0]) is not dict and len(specs) > 1:
            raise _invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                f"tensorinfo_map: {', '.join(specs)}"
            )
        return _named_rows(rows, specs, max_depth) if _is_named(rows[0]) else _bare_rows(rows, specs, max_depth)

    def fail(self, message: str) -> NoReturn:
        """Raise INVALID_ARGUMENT, quoting the document."""
        raise _invalid(f"JSON Value: {json_text.quote(as_python(self.document))} {message}")


def _columnar(value: Any, specs: Mapping[str, TensorSpec], max_depth: int) -> dict[str, Array]:
    if not _is_named(value):
        if len(specs) > 1:
            raise _invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                f"tensorinfo_map: {', '.join(specs)}"
            )
        value = {next(iter(specs)): value}
    arrays = {}
    for name, spec in specs.items():
        if name not in value:
            raise _invalid(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = dense(value[name], spec.dtype, max_depth)
    return arrays


def _bare_rows(rows: list[Any], specs: Mapping[str, TensorSpec], max_depth: int) -> dict[str, Array]:
    first_object = len(rows)
    if dict in set(map(type, rows)):
        first_object = next((index for index, row in enumerate(rows) if _is_named(row)), len(rows))
    name = next(iter(specs))
    try:
        array = dense_rows(rows[:first_object], specs[name].dtype, max_depth)
    except RowError as error:
        raise _invalid(f"Failed to process element: {error.index} of 'instances' list. Error: {error}") from None
    if first_object < len(rows):
        raise _invalid(f"Expecting value/list but got object at item {first_object} of input list")
    return {name: array}


def _named_rows(rows: list[Any], specs: Mapping[str, TensorSpec], max_depth: int) -> dict[str, Array]:
    names = specs.keys()
    misfit = next((index for index, row in enumerate(rows) if type(row) is not dict or row.keys() != names), len(rows))
    arrays: dict[str, Array] = {}
    faults: list[tuple[int, str, RowError]] = []
    for name, spec in specs.items():
        try:
            arrays[name] = dense_rows([row[name] for row in rows[:misfit]], spec.dtype, max_depth)
        except RowError as error:
            faults.append((error.index, name, error))
    if faults:
        index, name, fault = min(faults, key=lambda found: found[0])
        raise _invalid(f"Failed to process element: {index} key: {name} of 'instances' list. Error: {fault}")
    if misfit < len(rows):
        _refuse_row(rows[misfit], misfit, specs)
    return arrays


def _refuse_row(row: Any, index: int, specs: Mapping[str, TensorSpec]) -> NoReturn:
    if not _is_named(row):
        raise _invalid(f"Expecting object but got list at item {index} of input list")
    for name in row:
        if name not in specs:
            unknown = _invalid(f"JSON object: does not have named input: {name}")
            raise _invalid(f"Failed to process element: {index} key: {name} of 'instances' list. Error: {unknown}")
    raise _invalid(
        f"Failed to process element: {index} of 'instances' list. JSON object: {json_text.quote(row)} "
        f"keys must be equal to: {','.join(sorted(specs))}"
    )


def _is_named(value: Any) -> bool:
    return type(value) is dict and not is_base64(value)


def _invalid(message: str) -> ServeError:
    return ServeError(Code.INVALID_ARGUMENT, message)
