"""Sample requests: a small request that a signature accepts, with zeros, a word, a black image or a tf.Example."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from tfx_export import wire
from tfx_export.json_value import JsonObject, JsonValue
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import CLASSIFY, REGRESS, Signature, TensorSpec
from tfx_export.savedmodel.string_inputs import Feature, StringInput, StringInputs

Verb = Literal["predict", "classify", "regress"]

# 32 x 32 black pixels, because models that crop need more than one pixel.
BLACK_IMAGE = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAGUlEQVR42u3BMQEAAADCoPVP7WENoAAAAG4MIAABITLN7AAAAABJRU5ErkJggg=="
)

# The size of an image of any size.
IMAGE_SIZE = 32


@dataclass(frozen=True)
class FilledTensor:
    """A tensor with the same `value` in all places. `note`: explains a value that is not obvious, for a comment."""

    dtype: str
    shape: tuple[int, ...]
    value: bool | int | float | str | bytes
    note: str = ""


@dataclass(frozen=True)
class SampleRequest:
    """`values` are the inputs if `verb` is predict, else the features of one tf.Example."""

    verb: Verb
    values: Mapping[str, FilledTensor]

    @property
    def size(self) -> int:
        """The number of values in the request."""
        return sum(prod(value.shape) for value in self.values.values())

    def body(self) -> JsonObject:
        """Returns the body of a REST request, without the name of the signature."""
        values = {name: _to_json(value) for name, value in self.values.items()}
        return {"inputs": values} if self.verb == "predict" else {"examples": [values]}


def sample_request(signature: Signature, strings: StringInputs | None) -> SampleRequest:
    """Returns a request for `signature` in which unknown dimensions have the size 1, or 32 in images and volumes.

    `strings`: how the model uses its string inputs; None: all of them are text. Raises SavedModelError if the graph,
    which shows how they are used, cannot be read.
    """
    uses = string_uses(signature, strings)
    verb = best_verb(signature)
    if verb != "predict":
        (use,) = uses.values()
        return SampleRequest(verb, {name: _feature(feature) for name, feature in use.features.items()})
    # An integer beside an image of any size is one of its sizes.
    size = IMAGE_SIZE if any(_is_image_of_any_size(spec) for spec in signature.inputs.values()) else 1
    return SampleRequest(
        "predict", {name: _input(spec, uses.get(name), size) for name, spec in signature.inputs.items()}
    )


def best_verb(signature: Signature) -> Verb:
    """Returns the verb that suits the signature. `classify` and `regress` take the features of tf.Examples."""
    specs = list(signature.inputs.values())
    if len(specs) == 1 and specs[0].dtype == "DT_STRING":
        if signature.method == CLASSIFY:
            return "classify"
        if signature.method == REGRESS:
            return "regress"
    return "predict"


def string_uses(signature: Signature, strings: StringInputs | None) -> dict[str, StringInput]:
    """Returns the use of each string input of `signature`, by name."""
    text = StringInput(image=False, features={}, words=())
    return {
        name: strings.of(spec.tensor) if strings else text
        for name, spec in signature.inputs.items()
        if spec.dtype == "DT_STRING"
    }


def _to_json(value: FilledTensor) -> JsonValue:
    filled: JsonValue = {"b64": b64encode(value.value).decode()} if isinstance(value.value, bytes) else value.value
    for size in reversed(value.shape):
        filled = [filled] * size
    return filled


def _is_image_of_any_size(spec: TensorSpec) -> bool:
    """Whether an input is `[batch, ?, ?, channels]` or has more dimensions: an image, a video, a volume."""
    return spec.dtype != "DT_STRING" and spec.shape is not None and len(spec.shape) >= 4 and None in spec.shape[1:]


def _input(spec: TensorSpec, use: StringInput | None, image_size: int) -> FilledTensor:
    """Returns a value for an input. An unknown rank becomes one dimension."""
    if spec.shape is None:
        shape: tuple[int, ...] = (1,)
    else:
        # The windows of convolutions and poolings need more than one pixel; the last dimension is the channels.
        inner = IMAGE_SIZE if _is_image_of_any_size(spec) else 1
        last = len(spec.shape) - 1
        shape = tuple(
            (inner if 0 < axis < last else 1) if size is None else size for axis, size in enumerate(spec.shape)
        )
    if use and use.image:
        return FilledTensor(spec.dtype, shape, BLACK_IMAGE, "a black image: replace it with yours")
    if use and use.features:
        # The names come from the model. As JSON they cannot end the comment.
        return FilledTensor(
            spec.dtype, shape, _example(use), f"a tf.Example with {json.dumps(list(use.features))[1:-1]}"
        )
    value = "1" if use and use.number else _zero(spec.dtype)
    # A single integer is usually a size, which should not be 0.
    is_size = type(value) is int and (shape == () or (image_size > 1 and shape == (1,)))
    return FilledTensor(spec.dtype, shape, image_size if is_size else value)


def _feature(feature: Feature) -> FilledTensor:
    """Returns the values of a feature as a flat list. A single value needs no list."""
    count = 1 if feature.shape is None else prod(1 if size is None else size for size in feature.shape)
    return FilledTensor(feature.dtype, () if feature.shape == () else (count,), _zero(feature.dtype))


def _zero(dtype: str) -> bool | int | float | str:
    """Returns a small value: 0.5 for floats, because some clients send whole numbers as integers.

    A string is a word, because models that average over words return NaN for an empty string.
    """
    if "INT" in dtype:
        return 0
    zeros: dict[str, bool | int | float | str] = {"O": "text", "b": False}
    return zeros.get(numpy_dtype(dtype).kind, 0.5)


def _example(use: StringInput) -> bytes:
    example = wire.Example()
    for name, feature in use.features.items():
        value = _feature(feature)
        values = [value.value] * prod(value.shape)
        target = example.features.feature[name]
        if feature.dtype == "DT_STRING":
            target.bytes_list.value.extend(str(one).encode() for one in values)
        elif feature.dtype == "DT_INT64":
            target.int64_list.value.extend(int(one) for one in values)
        else:
            target.float_list.value.extend(float(one) for one in values)
    return example.SerializeToString(deterministic=True)
