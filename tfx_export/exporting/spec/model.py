"""The export spec as data classes: signatures, tags, and how the file is written.

A signature has three parts: the client's inputs (`inputs`: raw tensors, `features`: tf.Examples, `image`: encoded
images), the source, and the client's outputs (by `method`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Literal

from tfx_export.savedmodel.signature import Shape

Method = Literal["predict", "classify", "regress"]


@dataclass(frozen=True)
class InputSpec:
    """An input that is a raw tensor.

    Args:
        source: The source's input that it feeds.
        dtype: The client's dtype (`uint8`), which is cast for the source. None: the source's dtype.
        shape: The client's shape, which may fix dimensions that are free in the source. None: the source's shape.
    """

    source: str
    dtype: str | None = None
    shape: Shape | None = None


@dataclass(frozen=True)
class FeatureSpec:
    """A feature of a tf.Example.

    Args:
        name: The name of the feature in the tf.Example.
        input: The source's input that it feeds.
        kind: `fixed` reads a tensor of `shape`. `varlen` reads any number of values, and pads them with `default` to
            the longest in the batch. `sparse` reads positions from the feature `index` and values from the feature
            `value` into a vector of length `size`.
        dtype: `float32`, `int64` or `string`. None: the one that fits the source's dtype.
        shape: The shape of one example, without the batch dimension. None: the source's.
        default: The value where the feature is missing. None: a missing `fixed` feature is an error.
        index, value, size: For `sparse` only.
    """

    name: str
    input: str
    kind: Literal["fixed", "varlen", "sparse"] = "fixed"
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    default: float | int | str | tuple[float | int | str, ...] | None = None
    index: str | None = None
    value: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class ImageSpec:
    """Encoded images as input: the graph decodes, resizes and normalises them.

    Args:
        input: The source's input that they feed. None: its only one.
        alias: The client's name of the input.
        size: Height and width in pixels. None: the source's.
        channels: 1, 3 or 4. None: the source's.
        resize: The method of tf.image.resize.
        scale: `none`, `0-1`, `-1-1`, or the name of a model of keras.applications (`resnet50`).
        mean, std: After scaling, `mean` is subtracted and the result divided by `std`; one number per channel, or one
            for all.
    """

    input: str | None = None
    alias: str = "image_bytes"
    size: tuple[int, int] | None = None
    channels: int | None = None
    resize: str = "bilinear"
    scale: str = "none"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ArgMaxSpec:
    """An output with the number of the best class, int64: the position of the maximum in the last dimension.

    Args:
        argmax: The source's output with the scores of the classes.
    """

    argmax: str


@dataclass(frozen=True)
class SignatureSpec:
    """A signature to write.

    Args:
        name: The name of the signature.
        method: `predict`, `classify` or `regress`.
        inputs: Raw inputs by the client's names. Empty: all of the source's inputs, by its names.
        features: The features of a tf.Example, instead of raw inputs.
        image: Encoded images, instead of raw inputs.
        outputs: The source's outputs, or what is computed from them, by the client's names. Empty: all of them, by the
            source's names.
        labels: A text file with one label per line, in the order of the classes.
        top_k: The number of best classes to return. With `labels` or `top_k`, the output with the scores of classes
            becomes the outputs `classes` and `scores`.
    """

    name: str
    method: Method = "predict"
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    features: tuple[FeatureSpec, ...] | None = None
    image: ImageSpec | None = None
    outputs: Mapping[str, str | ArgMaxSpec] = field(default_factory=dict)
    labels: Path | None = None
    top_k: int | None = None


@dataclass(frozen=True)
class ExportSpec:
    """The content of a SavedModel to write.

    Args:
        signatures: The signatures. Empty: those of a SavedModel, or one Predict signature with all inputs and outputs.
        default: The signature that is also written as `serving_default`. None: `default_of` chooses it.
        tags: The tags of the graph.
        assets: Files to add to `assets/`.
        as_text: Whether to write `saved_model.pbtxt` instead of `saved_model.pb`.
        clear_devices: Whether to remove the devices of ops.
        strip_default_attrs: Whether to leave out attributes with default values, for older servers.
        input_names, output_names: New names for the source's inputs and outputs, `{old: new}`. Signatures use the new
            names.
    """

    signatures: tuple[SignatureSpec, ...] = ()
    default: str | None = None
    tags: tuple[str, ...] = ("serve",)
    assets: tuple[Path, ...] = ()
    as_text: bool = False
    clear_devices: bool = True
    strip_default_attrs: bool = True
    input_names: Mapping[str, str] = field(default_factory=dict)
    output_names: Mapping[str, str] = field(default_factory=dict)


def default_of(spec: ExportSpec) -> str:
    """Returns the signature for requests that name none.

    That is `spec.default`, else the one named serving_default, else the first Predict signature on raw tensors, else
    the first.
    """
    names = [signature.name for signature in spec.signatures]
    if spec.default:
        return spec.default
    if "serving_default" in names:
        return "serving_default"
    raw = [
        one.name for one in spec.signatures if one.method == "predict" and one.features is None and one.image is None
    ]
    return (raw or names)[0]


def as_plain(spec: ExportSpec) -> dict[str, object]:
    """Returns `spec` as JSON values without those left empty, for the export record; files by their names only."""
    return {key: _plain(value) for key, value in vars(spec).items() if value not in ((), {})}


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {key: _plain(item) for key, item in vars(value).items() if item not in (None, (), {})}
    return value
