"""Translates the configuration of a Keras 1 model into that of Keras 2, which tf_keras reads.

Names of classes and options changed; the computations did not. Options for training only, such as initializers and
regularizers, are left out, because the weights are in the file. A layer or option without a translation is refused.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tfx_export.errors import SourceError

_HINT = (
    "Load the file with Keras 2.2 (Python 3.7, pip install 'keras==2.2.5' 'tensorflow<2') and save it again, or "
    "replace the layer by your own: --replace-layer NAME=module:Class"
)
_CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Model": "Functional",
    "SeparableConvolution2D": "SeparableConv2D",
}
_MERGES = {
    "ave": "Average", "concat": "Concatenate", "max": "Maximum", "mul": "Multiply", "sum": "Add",
}  # fmt: skip
_RENAMED = {
    "atrous_rate": "dilation_rate", "bias": "use_bias", "border_mode": "padding", "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout", "filter_length": "kernel_size", "inner_activation": "recurrent_activation",
    "length": "size", "nb_filter": "filters", "output_dim": "units", "p": "rate", "pool_length": "pool_size",
    "sigma": "stddev", "stride": "strides", "subsample": "strides", "subsample_length": "strides",
}  # fmt: skip
# Options that a served model does not need: they matter in training, or repeat what batch_input_shape says.
_DROPPED = {
    "U_regularizer", "W_constraint", "W_regularizer", "activity_regularizer", "b_constraint", "b_regularizer",
    "beta_init", "beta_regularizer", "consume_less", "depthwise_constraint", "depthwise_init", "depthwise_regularizer",
    "dropout", "forget_bias_init", "gamma_init", "gamma_regularizer", "init", "inner_init", "input_dim", "input_dtype",
    "input_length", "kernel_dim2", "kernel_dim3", "layer", "layers", "mode", "nb_col", "pointwise_constraint",
    "pointwise_init", "pointwise_regularizer",
}  # fmt: skip
# Options with the same name and meaning in Keras 2.
_KEPT = {
    "activation", "alpha", "axis", "batch_input_shape", "cropping", "data_format", "depth_multiplier", "dims",
    "epsilon", "go_backwards", "mask_value", "mask_zero", "merge_mode", "momentum", "n",
    "name", "padding", "pool_size", "return_sequences", "size", "stateful", "strides", "target_shape", "theta",
    "trainable", "unroll",
}  # fmt: skip
# The same for one class.
_KEPT_IN = {
    ("Embedding", "input_dim"), ("Embedding", "input_length"), ("Embedding", "output_dim"), ("InputLayer", "sparse"),
}  # fmt: skip
_KERNEL_SIZES = {"kernel_dim1": ("kernel_dim1", "kernel_dim2", "kernel_dim3"), "nb_row": ("nb_row", "nb_col")}
_LAYERS = {
    "Activation", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "BatchNormalization", "Bidirectional",
    "Cropping1D", "Cropping2D", "Dense", "Dropout", "ELU", "Embedding", "Flatten", "GRU", "GaussianDropout",
    "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
    "InputLayer", "LSTM", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Merge", "Permute",
    "RepeatVector", "Reshape", "SimpleRNN", "SpatialDropout1D", "SpatialDropout2D", "ThresholdedReLU",
    "TimeDistributed", "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D",
}  # fmt: skip
# Options that only Keras 1 wrote.
_OLD_OPTIONS = {"border_mode", "dim_ordering", "inner_init", "init", "input_dtype", "nb_filter", "p"}


def is_keras1(config: object, keras_version: str) -> bool:
    """Returns whether Keras 1 wrote the configuration of a model. The oldest files have no version."""
    if keras_version:
        return keras_version.startswith("1.") or keras_version == "1"
    return any(_OLD_OPTIONS & set(layer["config"]) for layer in _layers(config) if isinstance(layer["config"], dict))


def translate(config: dict[str, Any], where: str, *, keep_unknown: bool) -> dict[str, Any]:
    """Returns the Keras 2 configuration of the Keras 1 model `config`. `where` names the file in messages.

    With `keep_unknown`, layers of unknown classes stay as they are, because they may be the user's own.
    Raises SourceError if a layer cannot be translated.
    """
    try:
        return _model(config, where, keep_unknown)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise SourceError(f"The configuration of the Keras 1 model in {where} is damaged: {error!r}") from None


def _model(config: dict[str, Any], where: str, keep_unknown: bool) -> dict[str, Any]:
    inner = config["config"]
    translate_layer = partial(_layer, where=where, keep_unknown=keep_unknown)
    if isinstance(inner, dict):
        layers = list(map(translate_layer, inner["layers"]))
        return {**config, "config": {**inner, "layers": layers}, "class_name": "Functional"}
    return {**config, "config": {"name": "sequential_1", "layers": list(map(translate_layer, inner))}}


def _layer(layer: dict[str, Any], where: str, keep_unknown: bool) -> dict[str, Any]:
    name, options = layer["class_name"], layer["config"]
    if name in ("Sequential", "Model"):
        return _model(layer, where, keep_unknown)
    known = name in _LAYERS or name in _CLASSES
    if name.startswith("replacement_of_") or (keep_unknown and not known):
        return layer
    try:
        if not known:
            raise ValueError("Keras 2 has no such layer")
        if name == "Merge":
            return {**layer, **_merge(options)}
        found = _options(name, options)
    except ValueError as error:
        label = options.get("name", layer.get("name", ""))
        raise SourceError(
            f"{where} was written by Keras 1, and its {name} {label!r} cannot be translated: {error}.", hint=_HINT
        ) from None
    if "layer" in options:  # a wrapper
        found["layer"] = _layer(options["layer"], where, keep_unknown)
    return {**layer, "class_name": _CLASSES.get(name, name), "config": found}


def _options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Translates the options of a layer. Raises ValueError with the reason if one has no translation."""
    # In Keras 2 this option chooses the variant of the cell; Keras 1 had one.
    found: dict[str, Any] = {"reset_after": False} if name == "GRU" else {}
    for key, value in options.items():
        if key in _KEPT or (name, key) in _KEPT_IN:
            found[key] = value
        elif (name, key) == ("InputLayer", "input_dtype"):
            found["dtype"] = value
        elif key in _KERNEL_SIZES:
            found["kernel_size"] = [options[part] for part in _KERNEL_SIZES[key]]
        elif key in _RENAMED:
            found[_RENAMED[key]] = value
        elif key == "dim_ordering" and value == "th":
            # Its kernels may be mirrored, which the file does not say.
            raise ValueError("it has its dimensions in the order of Theano (dim_ordering 'th')")
        elif key == "dim_ordering":
            found["data_format"] = "channels_last"
        elif key == "mode" and value not in (0, 2):
            raise ValueError(f"its mode {value!r} is unknown")
        elif key not in _DROPPED:
            raise ValueError(f"its option {key}={value!r} is unknown")
    return found


def _merge(options: Mapping[str, Any]) -> dict[str, Any]:
    mode = options.get("mode")
    if not isinstance(mode, str) or mode not in _MERGES:
        raise ValueError(f"its mode {mode!r} has no layer in Keras 2")
    if options.get("layers"):
        raise ValueError("it merges models instead of tensors")
    axis = {"axis": options.get("concat_axis", -1)} if mode == "concat" else {}
    return {"class_name": _MERGES[mode], "config": {"name": options["name"], **axis}}


def _layers(config: object) -> list[Mapping[str, Any]]:
    inner = config.get("config") if isinstance(config, Mapping) else None
    layers = inner.get("layers", []) if isinstance(inner, Mapping) else inner
    return [one for one in layers or [] if isinstance(one, Mapping) and "config" in one]
