"""Sample: a request that a signature takes, with little in it: zeros, a word, a black picture, a tf.Example."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from tfx_export import wire
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import CLASSIFY, REGRESS, Signature, TensorSpec
from tfx_export.savedmodel.string_inputs import Feature, StringInput, StringInputs

Verb = Literal["predict", "classify", "regress"]

# 32 x 32 black pixels: networks that crop want more than one.
PICTURE = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAGUlEQVR42u3BMQEAAADCoPVP7WENoAAAAG4MIAABITLN7AAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class Value:
    """One `value`, repeated in a `shape`. `dtype`: of the tensor. `note`: what it is, where that is not plain."""

    dtype: str
    shape: tuple[int, ...]
    value: bool | int | float | str | bytes
    note: str = ""


@dataclass(frozen=True)
class Sample:
    """A request for `verb`: to predict, `values` are the inputs; else the features of one tf.Example."""

    verb: Verb
    values: Mapping[str, Value]

    @property
    def size(self) -> int:
        """How many values are sent."""
        return sum(prod(value.shape) for value in self.values.values())

    def body(self) -> dict[str, Any]:
        """The body of a REST request, but for the signature's name."""
        values = {name: _filled(value) for name, value in self.values.items()}
        return {"inputs": values} if self.verb == "predict" else {"examples": [values]}


def sample(signature: Signature, uses: StringInputs | None) -> Sample:
    """A request for `signature`: free dimensions have the size 1. Without `uses` every string is taken for text.

    Raises SavedModelError if the graph, which tells what a string holds, cannot be read.
    """
    strings = uses_of(signature, uses)
    verb = verb_of(signature)
    if verb != "predict":
        (use,) = strings.values()
        return Sample(verb, {name: _feature(feature) for name, feature in use.features.items()})
    return Sample("predict", {name: _input(spec, strings.get(name)) for name, spec in signature.inputs.items()})


def verb_of(signature: Signature) -> Verb:
    """How clients ask `signature` best: `classify` and `regress` take the features of tf.Examples."""
    specs = list(signature.inputs.values())
    if len(specs) == 1 and specs[0].dtype == "DT_STRING":
        if signature.method == CLASSIFY:
            return "classify"
        if signature.method == REGRESS:
            return "regress"
    return "predict"


def uses_of(signature: Signature, uses: StringInputs | None) -> dict[str, StringInput]:
    """What the string inputs of `signature` hold, by name."""
    text = StringInput(image=False, features={}, words=())
    return {
        name: uses.of(spec.tensor) if uses else text
        for name, spec in signature.inputs.items()
        if spec.dtype == "DT_STRING"
    }


def _filled(value: Value) -> Any:
    filled: Any = {"b64": b64encode(value.value).decode()} if isinstance(value.value, bytes) else value.value
    for size in reversed(value.shape):
        filled = [filled] * size
    return filled


def _input(spec: TensorSpec, use: StringInput | None) -> Value:
    """A free rank is taken as one dimension."""
    shape = (1,) if spec.shape is None else tuple(1 if size is None else size for size in spec.shape)
    if use and use.image:
        return Value(spec.dtype, shape, PICTURE, "a black picture; put yours here")
    if use and use.features:
        # Names are the model's: as JSON none of them can end the comment.
        return Value(spec.dtype, shape, _example(use), f"a tf.Example with {json.dumps(list(use.features))[1:-1]}")
    value = _zero(spec.dtype)
    # A lone integer is mostly a size, and none of nothing.
    return Value(spec.dtype, shape, 1 if shape == () and type(value) is int else value)


def _feature(feature: Feature) -> Value:
    """The values of a feature are a flat list; one alone stands for itself."""
    count = 1 if feature.shape is None else prod(1 if size is None else size for size in feature.shape)
    return Value(feature.dtype, () if feature.shape == () else (count,), _zero(feature.dtype))


def _zero(dtype: str) -> bool | int | float | str:
    """A fraction for floats: whole numbers would be sent as integers by some. A word: the mean over none is NaN."""
    zeros: dict[str, bool | int | float | str] = {"O": "text", "b": False, "i": 0, "u": 0}
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
