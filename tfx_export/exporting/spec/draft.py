"""Draft a spec file for a source: a Predict signature filled in, the other kinds as comments to uncomment."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfx_export.exporting.source_graph import SourceGraph

_HEAD = """\
# What `tfx-export` writes for {source}. Use it with --signatures FILE.
# Every key is explained in docs/signatures.md; more examples are in templates/signatures/.

# The signature clients get that name none (the first one with raw tensors if you leave this out).
default: predict

signatures:
  predict:
    method: predict
    # The client's name for an input: {{source: the model's name, dtype and shape (null: any size)}}.
    inputs:
"""
_CLASSIFY = """
  # tf.Example in, classes and scores out, for the Classify API.
  # classify:
  #   method: classify
  #   features:
{features}
  #   outputs: {{scores: {output}}}
  #   labels: labels.txt        # one label a line, in the order of the model's classes
  #   top_k: 3
"""
_REGRESS = """
  # tf.Example in, a number each out, for the Regress API.
  # regress:
  #   method: regress
  #   features:
{features}
  #   outputs: {{outputs: {output}}}
"""
_IMAGE = """
  # Encoded JPEG, PNG, GIF or BMP in: {{"instances": [{{"b64": "..."}}]}}.
  # image:
  #   method: image
  #   image: {{input: {input}, size: [{height}, {width}], resize: bilinear, scale: 0-1}}
  #   outputs: {{scores: {output}}}
"""


def draft_spec(source: "SourceGraph") -> str:
    """The YAML text, commented; read back, it is the spec of a Predict signature with all inputs and outputs."""
    text = _HEAD.format(source=source.description)
    for name, one in source.inputs.items():
        text += (
            f"      {_quoted(name)}: {{source: {_quoted(name)}, dtype: {one.dtype.name}, shape: {_shape(one.shape)}}}\n"
        )
    text += "    # The client's name for an output: the model's name.\n    outputs:\n"
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


def _shape(shape: Any) -> str:
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
