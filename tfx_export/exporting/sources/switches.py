"""Placeholders that switch between training and inference, such as `is_training`, and their values for inference."""

import tensorflow as tf

_TRAINING = ("train", "phase", "dropout", "drop_rate", "drop_prob")
_INFERENCE = ("inference", "is_test", "is_eval", "testing", "predicting")
_KEEP = ("keep_prob", "keep_rate", "keep_ratio", "keepprob")


def is_switch(tensor: tf.Tensor) -> bool:
    """Returns whether a placeholder is a scalar such as keep_prob or is_training, which is bound and not fed."""
    if tensor.op.type == "PlaceholderWithDefault":
        return tensor.shape.rank in (0, None)
    if tensor.dtype == tf.bool and tensor.shape.rank == 0:
        return True
    # A scope such as `train/x` does not make a switch of a tensor whose rank is unknown.
    name = tensor.op.name.lower() if tensor.shape.rank == 0 else tensor.op.name.lower().rpartition("/")[2]
    return tensor.shape.rank in (0, None) and any(word in name for word in (*_TRAINING, *_INFERENCE, *_KEEP))


def bind_option(tensor: tf.Tensor) -> str:
    """Returns the option that fixes a placeholder at its value for inference: `--bind is_training=false`."""
    return f"--bind {tensor.op.name}={_value(tensor)}"


def _value(tensor: tf.Tensor) -> str:
    name, dtype = tensor.op.name.lower(), tensor.dtype
    if any(word in name for word in _KEEP):
        on = True
    elif any(word in name for word in _TRAINING):
        on = False
    elif any(word in name for word in _INFERENCE):
        on = True
    elif (default := _default(tensor)) is not None:
        return default
    else:
        on = not (dtype.is_bool or dtype.is_integer)
    if dtype.is_bool:
        return "true" if on else "false"
    if dtype.is_floating:
        return "1.0" if on else "0.0"
    return str(int(on)) if dtype.is_integer else "infer"


def _default(tensor: tf.Tensor) -> str | None:
    """Returns the default of a PlaceholderWithDefault as it is typed, or None if it is not a constant scalar."""
    if tensor.op.type != "PlaceholderWithDefault":
        return None
    value = tf.get_static_value(tensor.op.inputs[0])
    if value is None or tensor.op.inputs[0].shape.rank != 0:
        return None
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain.decode(errors="replace") if isinstance(plain, bytes) else str(plain)
