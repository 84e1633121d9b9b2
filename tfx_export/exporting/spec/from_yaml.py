"""Reads an ExportSpec from YAML. docs/signatures.md documents the schema; unknown keys are refused."""

from collections.abc import Callable, Collection, Hashable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from tfx_export.errors import SpecError
from tfx_export.exporting.files import require_file
from tfx_export.exporting.spec.model import (
    ArgMaxSpec,
    ExportSpec,
    FeatureSpec,
    ImageSpec,
    InputSpec,
    Method,
    SignatureSpec,
)

_TOP = ("signatures", "default", "tags", "assets", "as_text", "clear_devices", "strip_default_attrs")
_SIGNATURE = ("method", "inputs", "features", "image", "outputs", "labels", "top_k")
_INPUT = ("source", "dtype", "shape")
_OUTPUT = ("argmax",)
_FEATURE = ("input", "kind", "dtype", "shape", "default", "index", "value", "size")
_IMAGE = ("input", "alias", "size", "channels", "resize", "scale", "mean", "std")
METHODS = ("predict", "classify", "regress", "image")
KINDS = ("fixed", "varlen", "sparse")

Item = TypeVar("Item")


def read_spec(path: Path) -> ExportSpec:
    """Reads the spec in the YAML file `path`; file names in it are relative to its folder.

    Raises SpecError with the place in the file if it cannot be read or is wrong.
    """
    require_file("spec", path, hint="To write one: tfx-export init keras model.keras > spec.yaml")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  (a SafeLoader)
    except OSError as error:
        raise SpecError(f"The spec {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SpecError(f"The spec {path} is not UTF-8 text.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SpecError(f"The spec {path}{place}: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise SpecError(f"The spec {path} is not valid YAML: {error}") from None
    return parse_spec(content, folder=path.parent)


def parse_spec(content: object, *, folder: Path = Path()) -> ExportSpec:
    """Parses a spec from the values of YAML or JSON; file names are relative to `folder`.

    Raises SpecError with the place if a key or value is wrong.
    """
    top = _mapping(content, "the spec", _TOP)
    named = _mapping(top.get("signatures"), "signatures")
    if not named:
        raise SpecError("The spec has no signatures.", hint="signatures: {serving_default: {method: predict}}")
    signatures = tuple(_signature(name, value, folder) for name, value in named.items())
    default = _optional(top, "default", _text, "the spec")
    if default is not None and default not in named:
        raise SpecError(
            f"default: there is no signature {default!r}.", hint=f"Signatures: {', '.join(map(str, named))}"
        )
    return ExportSpec(
        signatures=signatures,
        default=default,
        tags=_optional(top, "tags", _list_of(_text), "the spec") or ("serve",),
        assets=tuple(folder / name for name in _optional(top, "assets", _list_of(_text), "the spec") or ()),
        as_text=_flag(top, "as_text", False),
        clear_devices=_flag(top, "clear_devices", True),
        strip_default_attrs=_flag(top, "strip_default_attrs", True),
    )


def _signature(name: object, value: object, folder: Path) -> SignatureSpec:
    where = f"signatures.{name}"
    content = _mapping(value, where, _SIGNATURE)
    method = _one_of(content.get("method", "predict"), METHODS, f"{where}.method")
    image = None
    if method == "image" or "image" in content:
        image = _image(content.get("image"), f"{where}.image")
    labels = _optional(content, "labels", _text, where)
    return SignatureSpec(
        name=_text(name, "a signature's name"),
        method=cast(Method, "predict" if method == "image" else method),
        inputs={_text(k, where): _input(v, f"{where}.inputs.{k}") for k, v in _sub(content, "inputs", where).items()},
        features=_features(content, where),
        image=image,
        outputs={
            _text(k, where): _output(v, f"{where}.outputs.{k}") for k, v in _sub(content, "outputs", where).items()
        },
        labels=folder / labels if labels else None,
        top_k=_optional(content, "top_k", _whole, where),
    )


def _input(value: object, where: str) -> InputSpec:
    if isinstance(value, str):
        return InputSpec(value)
    content = _mapping(value, where, _INPUT)
    if "source" not in content:
        raise SpecError(f"{where} lacks source, the model's input that it feeds.")
    return InputSpec(
        _text(content["source"], f"{where}.source"),
        _optional(content, "dtype", _text, where),
        _optional(content, "shape", _list_of(_size), where),
    )


def _output(value: object, where: str) -> str | ArgMaxSpec:
    if isinstance(value, str):
        return value
    content = _mapping(value, where, _OUTPUT) if isinstance(value, dict) else {}
    if "argmax" not in content:
        raise SpecError(f"{where} must be the name of an output of the model, or {{argmax: NAME}}.")
    return ArgMaxSpec(_text(content["argmax"], f"{where}.argmax"))


def _features(content: Mapping[object, object], where: str) -> tuple[FeatureSpec, ...] | None:
    if "features" not in content:
        return None
    return tuple(
        _feature(_text(name, where), value, f"{where}.features.{name}")
        for name, value in _sub(content, "features", where).items()
    )


def _feature(name: str, value: object, where: str) -> FeatureSpec:
    content = _mapping(value, where, _FEATURE)
    default: Any = content.get("default")
    return FeatureSpec(
        name=name,
        input=_optional(content, "input", _text, where) or name,
        kind=_one_of(content.get("kind", "fixed"), KINDS, f"{where}.kind"),
        dtype=_optional(content, "dtype", _text, where),
        shape=_optional(content, "shape", _list_of(_whole), where),
        default=tuple(default) if isinstance(default, list) else default,
        index=_optional(content, "index", _text, where),
        value=_optional(content, "value", _text, where),
        size=_optional(content, "size", _whole, where),
    )


def _image(value: object, where: str) -> ImageSpec:
    content = _mapping(value, where, _IMAGE)
    size = _optional(content, "size", _list_of(_whole), where)
    if size is not None and len(size) != 2:
        raise SpecError(f"{where}.size is [height, width], not {list(size)}.")
    texts = {key: _text(content[key], f"{where}.{key}") for key in ("alias", "resize", "scale") if key in content}
    return ImageSpec(
        input=_optional(content, "input", _text, where),
        size=(size[0], size[1]) if size else None,
        channels=_optional(content, "channels", _whole, where),
        mean=_optional(content, "mean", _list_of(_number), where),
        std=_optional(content, "std", _list_of(_number), where),
        **texts,
    )


def _mapping(value: object, where: str, known: Collection[str] | None = None) -> Mapping[object, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SpecError(f"{where} must hold keys and values, not {value!r}.")
    for key in value:
        if known is not None and key not in known:
            near = get_close_matches(str(key), known, n=1)
            raise SpecError(
                f"{where} has the unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "."),
                hint=f"Known keys: {', '.join(known)}",
            )
    return value


def _sub(content: Mapping[object, object], key: str, where: str) -> Mapping[object, object]:
    return _mapping(content.get(key), f"{where}.{key}")


def _optional(
    content: Mapping[object, object], key: str, read: Callable[[object, str], Item], where: str
) -> Item | None:
    return None if content.get(key) is None else read(content[key], f"{where}.{key}")


def _list_of(read: Callable[[object, str], Item]) -> Callable[[object, str], tuple[Item, ...]]:
    def read_list(value: object, where: str) -> tuple[Item, ...]:
        if not isinstance(value, list):
            raise SpecError(f"{where} must be a list, not {value!r}.")
        return tuple(read(item, f"{where}[{index}]") for index, item in enumerate(value))

    return read_list


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise SpecError(f"{where} must be text, not {value!r}.", hint="Put it in quotes.")
    return value


def _whole(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(f"{where} must be a whole number, not {value!r}.")
    return value


def _size(value: object, where: str) -> int | None:
    return None if value in (None, -1) else _whole(value, where)


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"{where} must be a number, not {value!r}.")
    return float(value)


def _flag(content: Mapping[object, object], key: str, default: bool) -> bool:
    value = content.get(key, default)
    if not isinstance(value, bool):
        raise SpecError(f"{key} must be true or false, not {value!r}.")
    return value


def _one_of(value: Any, allowed: Collection[str], where: str) -> Any:
    if value not in allowed:
        near = get_close_matches(str(value), allowed, n=1)
        raise SpecError(
            f"{where}: {value!r} is not known" + (f"; did you mean {near[0]!r}?" if near else "."),
            hint=f"One of: {', '.join(allowed)}",
        )
    return value


class _Loader(yaml.SafeLoader):
    """Refuses a key that is in a mapping twice; YAML itself would silently use the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} appears twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)
