"""Drafts a spec file for a source: a complete Predict signature, and the other kinds as comments to uncomment."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

    from tfx_export.exporting.source_graph import SourceGraph

_HEAD = """\
# The signatures that `tfx-export` writes for {source}. Use this file with --signatures FILE.
# docs/signatures.md explains every key; templates/signatures/ has more examples.

# The signature for requests that name none (without this line, the first one with raw tensors).
default: predict

signatures:
  predict:
    method: predict
    # By the client's name of an input: its name in the model (source), dtype and shape (null: any size).
    inputs:
"""
_CLASSIFY = """
  # For the Classify API: tf.Examples as input, classes and scores as outputs.
  # classify:
  #   method: classify
  #   features:
{features}
  #   outputs: {{scores: {output}}}
  #   labels: labels.txt        # one label per line, in the order of the model's classes
  #   top_k: 3
"""
_REGRESS = """
  # For the Regress API: tf.Examples as input, one number per example as output.
  # regress:
  #   method: regress
  #   features:
{features}
  #   outputs: {{outputs: {output}}}
"""
_IMAGE = """
  # Encoded JPEG, PNG, GIF or BMP images as input: {{"instances": [{{"b64": "..."}}]}}.
  # image:
  #   method: image
  #   image: {{input: {input}, size: [{height}, {width}], resize: bilinear, scale: 0-1}}
  #   outputs: {{scores: {output}}}
"""


def draft_spec(source: "SourceGraph") -> str:
    """Returns commented YAML that reads as the spec of a Predict signature with all inputs and outputs."""
    text = _HEAD.format(source=source.description)
    for name, one in source.inputs.items():
        text += (
            f"      {_quoted(name)}: {{source: {_quoted(name)}, dtype: {one.dtype.name}, shape: {_shape(one.shape)}}}\n"
        )
    text += "    # By the client's name of an output: its name in the model.\n    outputs:\n"
    text += "".join(f"      {_quoted(name)}: {_quoted(name)}\n" for name in source.outputs)
    features = "\n".join(
        f"  #     {_quoted(name)}: {{shape: {_shape(one.shape[1:])}}}" for name, one in source.inputs.items()
    )
    output = _quoted(next(iter(source.outputs)))
    text += _CLASSIFY.format(features=features, output=output) + _REGRESS.format(features=features, output=output)
    for name, one in source.inputs.items():
        if len(source.inputs) == 1 and one.shape.rank == 4:
            height, width = (size or 224 for size in one.shape.as_list()[1:3])
            text += _IMAGE.format(input=_quoted(name), height=height, width=width, output=output)
    return text


def _shape(shape: "tf.TensorShape") -> str:
    if shape.rank is None:
        return "null"
    return "[" + ", ".join("null" if size is None else str(size) for size in shape.as_list()) + "]"


def _quoted(name: str) -> str:
    plain = name.replace("_", "").isalnum() and not name[0].isdigit()
    return (
        name
        if plain and name.lower() not in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
        else f'"{name}"'
    )
