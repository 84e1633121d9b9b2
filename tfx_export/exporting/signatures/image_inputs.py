"""Builds inputs that are encoded images (JPEG, PNG, BMP or the first frame of a GIF).

The graph decodes, resizes and normalises them.
"""

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.exporting.signatures.tensors import Tensors, describe, placeholder, with_shape_check
from tfx_export.exporting.source_graph import GraphInput, SourceGraph
from tfx_export.exporting.spec.model import ImageSpec, SignatureSpec

RESIZE = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")


def build_inputs(source: SourceGraph, spec: SignatureSpec) -> tuple[Tensors, Tensors]:
    """Returns the placeholder of encoded images, and the tensor for the source's input made from it."""
    assert spec.image is not None
    name, target = _target(source, spec)
    where = f"Signature {spec.name!r}, image"
    height, width, channels = _size(spec.image, target, where)
    if spec.image.resize not in RESIZE:
        raise SpecError(f"{where}: {spec.image.resize!r} is not a resize method.", hint=f"Methods: {', '.join(RESIZE)}")

    def pixels(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(encoded, channels, expand_animations=False)
        image.set_shape([None, None, channels])
        return tf.cast(tf.image.resize(image, (height, width), spec.image.resize), tf.float32)  # type: ignore[union-attr]

    client_input = placeholder(spec.image.alias, tf.string, [None])
    shape = tf.TensorSpec([height, width, channels], tf.float32)
    images = normalise(
        tf.map_fn(pixels, with_shape_check(client_input, [None]), fn_output_signature=shape), spec.image, where
    )
    if target.shape.rank == 3:
        images = tf.squeeze(images, -1)
    if target.dtype.is_integer:
        images = tf.round(images)
    return {spec.image.alias: client_input}, {name: with_shape_check(tf.cast(images, target.dtype), target.shape)}


def normalise(images: tf.Tensor, spec: ImageSpec, where: str) -> tf.Tensor:
    """Scales pixels from 0 to 255 (float32, `[..., channels]`, RGB) to the range that the model was trained on."""
    scale = spec.scale.lower().replace("-", "_") if spec.scale not in SCALES else spec.scale
    steps = SCALES.get(scale) or APPLICATIONS.get(scale)
    if steps is None:
        raise SpecError(
            f"{where}: {spec.scale!r} is not a scale.",
            hint=f"Scales: {', '.join(SCALES)}; models of keras.applications: {', '.join(APPLICATIONS)}",
        )
    images = steps(images)
    for values in (spec.mean, spec.std):
        if values is not None and len(values) not in (1, images.shape[-1]):
            raise SpecError(f"{where}: mean and std need a number for each of the {images.shape[-1]} channels.")
    if spec.mean is not None:
        images = images - tf.constant(spec.mean, tf.float32)
    if spec.std is not None:
        images = images / tf.constant(spec.std, tf.float32)
    return images


def _none(images: tf.Tensor) -> tf.Tensor:
    return images


def _zero_to_one(images: tf.Tensor) -> tf.Tensor:
    return images / 255.0


def _minus_one_to_one(images: tf.Tensor) -> tf.Tensor:
    return images / 127.5 - 1.0


def _imagenet_bgr(images: tf.Tensor) -> tf.Tensor:
    """Reverses the channels to BGR and subtracts the mean of ImageNet, as for the first Caffe models."""
    return tf.reverse(images, [-1]) - tf.constant([103.939, 116.779, 123.68])


def _imagenet_standard(images: tf.Tensor) -> tf.Tensor:
    return (images / 255.0 - tf.constant([0.485, 0.456, 0.406])) / tf.constant([0.229, 0.224, 0.225])


SCALES = {"none": _none, "0-1": _zero_to_one, "-1-1": _minus_one_to_one}
# The scaling of `preprocess_input` in each module of keras.applications, by the names of modules and common models.
APPLICATIONS = {
    **dict.fromkeys(
        ("inception_v3", "inception_resnet_v2", "mobilenet", "mobilenet_v2", "nasnet", "resnet_v2", "xception"),
        _minus_one_to_one,
    ),
    **dict.fromkeys(("resnet50v2", "resnet101v2", "resnet152v2", "nasnetmobile", "nasnetlarge"), _minus_one_to_one),
    **dict.fromkeys(("resnet", "resnet50", "resnet101", "resnet152", "vgg16", "vgg19"), _imagenet_bgr),
    **dict.fromkeys(("densenet", "densenet121", "densenet169", "densenet201"), _imagenet_standard),
    **dict.fromkeys(("convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3"), _none),
}


def _target(source: SourceGraph, spec: SignatureSpec) -> tuple[str, GraphInput]:
    assert spec.image is not None
    name = spec.image.input or next(iter(source.inputs))
    if name not in source.inputs:
        raise SpecError(
            f"Signature {spec.name!r}: the model has no input {name!r}.",
            hint=f"Its inputs: {', '.join(map(repr, source.inputs))}",
        )
    if len(source.inputs) > 1:
        raise SpecError(
            f"Signature {spec.name!r}: images can only be sent to a model with one input, but this one has "
            f"{', '.join(map(repr, source.inputs))}.",
            hint="Write a model around this one that gives the other inputs constant values.",
        )
    target = source.inputs[name]
    if target.dtype == tf.string or target.shape.rank not in (3, 4):
        raise SpecError(
            f"Signature {spec.name!r}: the input {name!r} is {describe(target.dtype, target.shape)}, "
            "but images are (batch, height, width, channels)."
        )
    return name, target


def _size(image: ImageSpec, target: GraphInput, where: str) -> tuple[int, int, int]:
    sizes = [*target.shape.as_list()[1:], 1][:3]
    height, width = image.size or (sizes[0], sizes[1])
    channels = image.channels or sizes[2]
    if height is None or width is None or channels is None:
        raise SpecError(
            f"{where}: the model's input is {describe(target.dtype, target.shape)}, so its size must be given.",
            hint="size: [height, width], channels: 3",
        )
    if channels not in (1, 3, 4):
        raise SpecError(f"{where}: an image has 1, 3 or 4 channels, not {channels}.")
    if not target.shape[1:].is_compatible_with([height, width, channels][: target.shape.rank - 1]):
        raise SpecError(
            f"{where}: {height}x{width}x{channels} does not fit the model's {describe(target.dtype, target.shape)}."
        )
    return height, width, channels
