"""Reads the JSON of a predict request: row format (`instances`) or columnar format (`inputs`), with a layout cache."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeGuard

import simdjson

from serve.codec.json import text as json_text
from serve.codec.json.arrays import MAX_DEPTH, RowError, is_base64, rows_to_array, to_array
from serve.codec.json.fast_path import is_single_row, read_list, read_numbers
from serve.codec.json.parse import as_python, parse
from serve.codec.layout_cache import MAX_LAYOUTS, UnsupportedLayoutError
from serve.errors import invalid_argument
from tfx_export.json_value import JsonObject, JsonValue
from tfx_export.savedmodel.signature import Signature, TensorSpec
from tfx_export.savedmodel.tensor import Array

# Layouts whose text is longer are not cached: clients choose the text.
MAX_LAYOUT_BYTES = 512

# The text before and after the only row of numbers.
_LayoutKey: TypeAlias = tuple[bytes, bytes]


class _Layout(NamedTuple):
    """What the text around a single row of numbers means.

    `input_name`: None if the request does not name the input. `shape`: of the input, -1 for the length of the row.
    """

    signature_name: str
    is_row_format: bool
    input_name: str | None
    shape: tuple[int, ...]


class JsonPredictReader:
    """Reads predict requests, and caches the layouts of those with a single row of numbers."""

    def __init__(self) -> None:
        self._layouts: dict[_LayoutKey, _Layout] = {}

    def read(self, body: bytes) -> "JsonRequest | CachedLayoutRequest":
        """Returns the request in `body`. Raises ServeError INVALID_ARGUMENT, here or when its members are read."""
        # The last list is the row if there is only one.
        start = body.rfind(b"[")
        end = body.find(b"]", start) + 1
        key = body[:start], body[end:]
        layout = self._layouts.get(key)
        return CachedLayoutRequest(body, layout, body[start:end]) if layout else _NewLayoutRequest(body, key, self._add)

    def _add(self, key: _LayoutKey, layout: _Layout) -> None:
        if len(self._layouts) >= MAX_LAYOUTS:
            self._layouts.clear()
        self._layouts[key] = layout


class CachedLayoutRequest:
    """A request with a cached layout, with the members of a JsonRequest. Only its row is parsed."""

    def __init__(self, body: bytes, layout: _Layout, row: bytes) -> None:
        self._body = body
        self._layout = layout
        self._row = row
        self.signature_name = layout.signature_name
        self.is_row_format = layout.is_row_format

    def inputs(self, signature: Signature, max_depth: int = MAX_DEPTH) -> dict[str, Array]:
        """Returns the inputs as JsonRequest does, which also reads the request if its layout turns out to differ."""
        layout, specs = self._layout, signature.inputs
        try:
            ((name, spec),) = specs.items()
            if len(layout.shape) > max_depth or layout.input_name not in (None, name):
                raise UnsupportedLayoutError
            row = simdjson.Parser().parse(self._row)
            if not isinstance(row, simdjson.Array) or not len(row):
                raise UnsupportedLayoutError
            return {name: read_list(row, spec.dtype).reshape(layout.shape)}
        except (UnsupportedLayoutError, TypeError, ValueError, RuntimeError):
            return JsonRequest(self._body).inputs(signature, max_depth)


class JsonRequest:
    """A request body that is a JSON object. Its members are read one by one.

    Every failure is a ServeError INVALID_ARGUMENT with TensorFlow Serving's text.
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.document: Any = parse(body)
        if not isinstance(self.document, dict | simdjson.Object):
            self.fail("Is not object")
        self._names = frozenset(self.document.keys())

    def __contains__(self, name: str) -> bool:
        return name in self._names

    @property
    def signature_name(self) -> str:
        """The name of the signature; empty for the default one."""
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
        """Returns the inputs of a predict request, with the dtypes of `signature` and the shapes of the request."""
        specs = signature.inputs
        if not specs:
            raise invalid_argument(f"Failed to get input map for signature: {self.signature_name or 'DEFAULT'}")
        if "instances" not in self and "inputs" not in self:
            raise invalid_argument("Missing 'inputs' or 'instances' key")
        if "instances" in self and "inputs" in self:
            self.fail("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
        try:
            arrays = read_numbers(self.body, self.document, specs)
            # The reader of Python values reports arrays that are nested too deep.
            if max(array.ndim for array in arrays.values()) <= max_depth:
                return arrays
        except UnsupportedLayoutError:
            pass
        if self.is_row_format:
            return self._read_rows(specs, max_depth)
        return _read_columns(as_python(self.document["inputs"]), specs, max_depth)

    def fail(self, message: str) -> NoReturn:
        """Raises INVALID_ARGUMENT with a message that quotes the document."""
        raise invalid_argument(f"JSON Value: {json_text.quote(as_python(self.document))} {message}")

    def _read_rows(self, specs: Mapping[str, TensorSpec], max_depth: int) -> dict[str, Array]:
        rows = as_python(self.document["instances"])
        if type(rows) is not list:
            self.fail("Expecting 'instances' to be an list/array")
        if not rows:
            self.fail("No values in 'instances' array")
        if type(rows[0]) is not dict and len(specs) > 1:
            raise invalid_argument(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                f"tensorinfo_map: {', '.join(specs)}"
            )
        if _is_object(rows[0]):
            return _read_object_rows(rows, specs, max_depth)
        return _read_plain_rows(rows, specs, max_depth)


class _NewLayoutRequest(JsonRequest):
    """A request whose layout is not cached; it is added if the request holds a single row of numbers."""

    def __init__(self, body: bytes, key: _LayoutKey, add: Callable[[_LayoutKey, _Layout], None]) -> None:
        super().__init__(body)
        self._key = key
        self._add = add

    def inputs(self, signature: Signature, max_depth: int = MAX_DEPTH) -> dict[str, Array]:
        arrays = super().inputs(signature, max_depth)
        if sum(map(len, self._key)) <= MAX_LAYOUT_BYTES and is_single_row(self.body, arrays):
            ((name, array),) = arrays.items()
            names_input = self._key[0].count(b"{") > 1
            shape = (1,) * (array.ndim - 1) + (-1,)
            layout = _Layout(self.signature_name, self.is_row_format, name if names_input else None, shape)
            self._add(self._key, layout)
        return arrays


def _read_columns(value: JsonValue, specs: Mapping[str, TensorSpec], max_depth: int) -> dict[str, Array]:
    if not _is_object(value):
        if len(specs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                f"tensorinfo_map: {', '.join(specs)}"
            )
        value = {next(iter(specs)): value}
    arrays = {}
    for name, spec in specs.items():
        if name not in value:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = to_array(value[name], spec.dtype, max_depth)
    return arrays


def _read_plain_rows(rows: list[JsonValue], specs: Mapping[str, TensorSpec], max_depth: int) -> dict[str, Array]:
    first_object = len(rows)
    if dict in set(map(type, rows)):
        first_object = next((index for index, row in enumerate(rows) if _is_object(row)), len(rows))
    name = next(iter(specs))
    try:
        array = rows_to_array(rows[:first_object], specs[name].dtype, max_depth)
    except RowError as error:
        raise invalid_argument(
            f"Failed to process element: {error.index} of 'instances' list. Error: {error}"
        ) from None
    if first_object < len(rows):
        raise invalid_argument(f"Expecting value/list but got object at item {first_object} of input list")
    return {name: array}


def _read_object_rows(rows: list[Any], specs: Mapping[str, TensorSpec], max_depth: int) -> dict[str, Array]:
    names = specs.keys()
    mismatch = next(
        (index for index, row in enumerate(rows) if type(row) is not dict or row.keys() != names), len(rows)
    )
    arrays: dict[str, Array] = {}
    faults: list[tuple[int, str, RowError]] = []
    for name, spec in specs.items():
        try:
            arrays[name] = rows_to_array([row[name] for row in rows[:mismatch]], spec.dtype, max_depth)
        except RowError as error:
            faults.append((error.index, name, error))
    if faults:
        index, name, fault = min(faults, key=lambda found: found[0])
        raise invalid_argument(f"Failed to process element: {index} key: {name} of 'instances' list. Error: {fault}")
    if mismatch < len(rows):
        _fail_row(rows[mismatch], mismatch, specs)
    return arrays


def _fail_row(row: JsonValue, index: int, specs: Mapping[str, TensorSpec]) -> NoReturn:
    if not _is_object(row):
        raise invalid_argument(f"Expecting object but got list at item {index} of input list")
    for name in row:
        if name not in specs:
            unknown = invalid_argument(f"JSON object: does not have named input: {name}")
            raise invalid_argument(
                f"Failed to process element: {index} key: {name} of 'instances' list. Error: {unknown}"
            )
    raise invalid_argument(
        f"Failed to process element: {index} of 'instances' list. JSON object: {json_text.quote(row)} "
        f"keys must be equal to: {','.join(sorted(specs))}"
    )


def _is_object(value: JsonValue) -> TypeGuard[JsonObject]:
    return type(value) is dict and not is_base64(value)
