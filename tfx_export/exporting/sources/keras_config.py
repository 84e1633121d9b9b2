"""Checks and changes a Keras model's configuration (the JSON of its layers) before Keras loads it."""

from collections.abc import Iterator, Mapping
from typing import Any

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.keras_options import KerasOptions


def prepare(config: object, options: KerasOptions, where: str) -> bool:
    """Replaces layers as `options` say, in place; returns whether any was replaced.

    Raises SourceError if a layer to replace does not exist, or if loading would run Python code from the file.
    """
    replaced = {name for layer in _layers(config) if (name := _name(layer)) in options.replace_layers}
    if missing := sorted(set(options.replace_layers) - replaced):
        existing = ", ".join(sorted({_name(layer) for layer in _layers(config)}))
        raise SourceError(f"{where} has no layer {missing[0]!r} to replace.", hint=f"Its layers: {existing}")
    for layer in list(_layers(config)):
        if _name(layer) in options.replace_layers:
            _replace(layer)
    if not options.trust_lambda and (code := [_name(layer) for layer in _layers(config) if _holds_code(layer)]):
        raise SourceError(
            f"{where} holds Python code, in the Lambda layers {', '.join(code)}; loading it would run it.",
            hint=f"Replace it by your own layer: --replace-layer {code[0]}=module:Class. "
            "If you trust the file: --trust-lambda.",
        )
    return bool(replaced)


def replacement_name(layer: str) -> str:
    """Returns the class name of the replacement of `layer` in the configuration."""
    return f"replacement_of_{layer}"


def _replace(layer: dict[str, Any]) -> None:
    kept = {key: value for key, value in layer["config"].items() if key in ("name", "trainable", "dtype")}
    name = replacement_name(_name(layer))
    layer.update(class_name=name, config=kept)
    if "registered_name" in layer:
        # The Keras 3 format finds custom classes by this name.
        layer.update(module=None, registered_name=name)
    for node in layer.get("inbound_nodes", []):
        if isinstance(node, dict) and "kwargs" in node:
            # A Lambda layer is called with `mask=None`, which other layers refuse.
            node["kwargs"] = {key: value for key, value in node["kwargs"].items() if value is not None}


def _layers(config: object) -> Iterator[dict[str, Any]]:
    """Yields every object in the configuration that has a class and a name."""
    if isinstance(config, Mapping):
        inner = config.get("config")
        named = "class_name" in config and isinstance(inner, Mapping) and isinstance(inner.get("name"), str)
        if named and not str(config["class_name"]).endswith("Policy"):
            assert isinstance(config, dict)
            yield config
        for value in config.values():
            yield from _layers(value)
    elif isinstance(config, list):
        for value in config:
            yield from _layers(value)


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer["config"]["name"])


def _holds_code(layer: Mapping[str, Any]) -> bool:
    """Returns whether a layer is a Lambda with bytecode. A function given by name is not code from the file."""
    if layer["class_name"] != "Lambda":
        return False
    return any(_is_code(layer["config"].get(key)) for key in ("function", "output_shape", "mask"))


def _is_code(value: object) -> bool:
    if isinstance(value, Mapping):
        return value.get("class_name") == "__lambda__"
    # Keras 2 writes a list of marshalled code, defaults and closure; an output shape is a list of numbers.
    return isinstance(value, list) and bool(value) and isinstance(value[0], str)
