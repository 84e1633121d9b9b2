"""What an export shall contain, as plain data: signatures, tags, how the file is written. Knows no TensorFlow.

A signature is three parts: what the client sends (`inputs`: raw tensors, `features`: tf.Example, `image`: files), the
source, and what the client gets (by `method`). `spec_file.py` reads it from YAML, `flags.py` from the command line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal

from tfx_export.savedmodel.signature import Shape

Method = Literal["predict", "classify", "regress"]


@dataclass(frozen=True)
class InputSpec:
    """A raw input: the source's input it feeds; dtype (`uint8`) and shape where they differ from the source's own.

    A dtype of its own is cast; a shape may fix dimensions that the source leaves open.
    """

    source: str
    dtype: str | None = None
    shape: Shape | None = None


@dataclass(frozen=True)
class FeatureSpec:
    """A feature of a tf.Example: its name there, the source's input it feeds, and how it is read.

    `fixed` is a tensor of `shape` (the source's without its batch dimension if None), missing values are `default`,
    an error if that is None. `varlen` is as many values as there are, padded with `default` to the longest in the
    batch. `sparse` takes positions from the feature `index` and values from `value`, in a vector of `size`.
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
    """Encoded images in: decoded, resized to `size` (height, width; the source's if None), normalised.

    `scale` is one of SCALES, or the name of a model of keras.applications (`resnet50`); `mean` is
    subtracted and `std` divided by after that, a number a channel.
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
class SignatureSpec:
    """A signature to author. Empty `inputs` and `outputs` mean all of the source's, by its own names.

    `outputs` maps the client's names to the source's. With `labels` (a file, a label a line) or `top_k` one output
    is read as scores of classes, and the answer is `classes` and `scores`.
    """

    name: str
    method: Method = "predict"
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    features: tuple[FeatureSpec, ...] | None = None
    image: ImageSpec | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    labels: Path | None = None
    top_k: int | None = None


@dataclass(frozen=True)
class ExportSpec:
    """All of an export but its source and its place.

    `default` is the signature that is also written as `serving_default`; see `default_of` for the rule without it.
    `input_names` and `output_names` rename those of the source, before the signatures name them.
    """

    signatures: tuple[SignatureSpec, ...] = (SignatureSpec("serving_default"),)
    default: str | None = None
    tags: tuple[str, ...] = ("serve",)
    assets: tuple[Path, ...] = ()
    as_text: bool = False
    clear_devices: bool = True
    strip_default_attrs: bool = True
    input_names: Mapping[str, str] = field(default_factory=dict)
    output_names: Mapping[str, str] = field(default_factory=dict)


def default_of(spec: ExportSpec) -> str:
    """The signature clients get that name none: the one chosen, else the one so called, else the first that takes raw
    tensors for Predict, else the first."""
    names = [signature.name for signature in spec.signatures]
    if spec.default:
        return spec.default
    if "serving_default" in names:
        return "serving_default"
    raw = [
        one.name for one in spec.signatures if one.method == "predict" and one.features is None and one.image is None
    ]
    return (raw or names)[0]


def as_plain(spec: ExportSpec) -> dict[str, Any]:
    """`spec` as JSON can hold it, for the record beside the export: what was said, files by their names only."""
    return {key: _plain(value) for key, value in vars(spec).items() if value not in ((), {})}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {key: _plain(item) for key, item in vars(value).items() if item not in (None, (), {})}
    return value
