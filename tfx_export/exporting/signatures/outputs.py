"""Builds the client's outputs from the source's outputs, by method."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.exporting.signatures.tensors import Tensors, describe, with_op_names
from tfx_export.exporting.spec.model import ArgMaxSpec, Method, SignatureSpec


def predict(source_outputs: Tensors, spec: SignatureSpec) -> Tensors:
    """Returns the source's outputs; with labels or top_k, the one with scores becomes `classes` and `scores`."""
    outputs = _chosen(source_outputs, spec)
    if spec.labels is None and spec.top_k is None:
        return with_op_names(outputs)
    scored = "scores" if "scores" in outputs else next(iter(outputs))
    if scored != "scores" and len(outputs) > 1:
        raise SpecError(
            f"Signature {spec.name!r}: labels and top_k apply to one output, but there are "
            f"{', '.join(map(repr, outputs))}.",
            hint=f"Name the output that scores classes: outputs: {{scores: {next(iter(outputs))}}}",
        )
    others = {key: tensor for key, tensor in outputs.items() if key != scored}
    return with_op_names({**others, **_classes(outputs[scored], spec)})


def classify(source_outputs: Tensors, spec: SignatureSpec) -> Tensors:
    """Returns `scores`, float32 `[batch, classes]`, and with labels or top_k `classes`, strings of the same shape."""
    outputs = _chosen(source_outputs, spec)
    if set(outputs) == {"classes", "scores"} and spec.labels is None and spec.top_k is None:
        return with_op_names(outputs)
    return with_op_names(_classes(_only(outputs, spec, "scores"), spec))


def regress(source_outputs: Tensors, spec: SignatureSpec) -> Tensors:
    """Returns `outputs`, float32 `[batch]` or `[batch, 1]`."""
    tensor = _float32(_only(_chosen(source_outputs, spec), spec, "outputs"), spec)
    if not (tensor.shape.rank == 1 or (tensor.shape.rank == 2 and tensor.shape[1] == 1)):
        raise SpecError(
            f"Signature {spec.name!r}: Regress returns one number per example, (batch) or (batch, 1), "
            f"but the model's output is {describe(tensor.dtype, tensor.shape)}.",
            hint="Choose another output (outputs: {outputs: NAME}), or method: predict.",
        )
    return with_op_names({"outputs": tensor})


BUILD_OUTPUTS: dict[Method, Callable[[Tensors, SignatureSpec], Tensors]] = {
    "predict": predict,
    "classify": classify,
    "regress": regress,
}


def _chosen(source_outputs: Tensors, spec: SignatureSpec) -> dict[str, tf.Tensor]:
    if not spec.outputs:
        return dict(source_outputs)
    chosen = {}
    for alias, one in spec.outputs.items():
        name = one.argmax if isinstance(one, ArgMaxSpec) else one
        if name not in source_outputs:
            raise SpecError(
                f"Signature {spec.name!r}: the model has no output {name!r}.",
                hint=f"Its outputs: {', '.join(map(repr, source_outputs))}",
            )
        tensor = source_outputs[name]
        chosen[alias] = _argmax(tensor, spec, alias) if isinstance(one, ArgMaxSpec) else tensor
    return chosen


def _argmax(scores: tf.Tensor, spec: SignatureSpec, alias: str) -> tf.Tensor:
    dtype, shape = scores.dtype, scores.shape
    if not (dtype.is_floating or dtype.is_integer) or not shape.rank:
        raise SpecError(
            f"Signature {spec.name!r}: {alias} is the argmax of {describe(dtype, shape)}, which has no scores of "
            "classes in its last dimension.",
            hint="Choose another output of the model: {argmax: NAME}",
        )
    return tf.argmax(scores, axis=-1, output_type=tf.int64)


def _only(outputs: Tensors, spec: SignatureSpec, key: str) -> tf.Tensor:
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    raise SpecError(
        f"Signature {spec.name!r}: {spec.method.capitalize()} uses one output of the model, "
        f"but there are {', '.join(map(repr, outputs))}.",
        hint=f"Choose one: outputs: {{{key}: {next(iter(outputs))}}}",
    )


def _float32(tensor: tf.Tensor, spec: SignatureSpec) -> tf.Tensor:
    if not tensor.dtype.is_floating:
        raise SpecError(
            f"Signature {spec.name!r}: {spec.method.capitalize()} returns float32, "
            f"but the model's output is {describe(tensor.dtype, tensor.shape)}.",
            hint="Choose an output of floats, or method: predict.",
        )
    return tf.cast(tensor, tf.float32)


def _classes(scores: tf.Tensor, spec: SignatureSpec) -> dict[str, tf.Tensor]:
    scores = _float32(scores, spec)
    if scores.shape.rank != 2:
        raise SpecError(
            f"Signature {spec.name!r}: scores of classes are (batch, classes), "
            f"but the model's output is {describe(scores.dtype, scores.shape)}.",
            hint="Choose another output: outputs: {scores: NAME}",
        )
    if spec.top_k is None and spec.labels is None:
        return {"scores": scores}
    count = scores.shape[1]
    if spec.top_k is not None and count is not None and not 1 <= spec.top_k <= count:
        raise SpecError(f"Signature {spec.name!r}: top_k is {spec.top_k}, but the model has {count} classes.")
    if spec.top_k is not None:
        scores, indices = tf.math.top_k(scores, spec.top_k)
    else:
        indices = tf.broadcast_to(tf.range(tf.shape(scores)[1]), tf.shape(scores))
    classes = tf.as_string(indices)
    if spec.labels is not None:
        classes = _labels(spec.labels, count, spec.name).lookup(tf.cast(indices, tf.int64))
    return {"classes": tf.ensure_shape(classes, scores.shape), "scores": scores}


def _labels(path: Path, count: int | None, signature: str) -> tf.lookup.StaticHashTable:
    """Returns the table from class number to label, filled from `path`, which becomes an asset."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise SpecError(
            f"Signature {signature!r}: the labels {path} cannot be read: {reason}.",
            hint="Labels are a text file in UTF-8, one label per line, in the order of the model's classes.",
        ) from None
    if count is not None and len(lines) != count:
        raise SpecError(
            f"Signature {signature!r}: {path} has {len(lines)} labels, but the model has {count} classes.",
            hint="Write one label per line, in the order of the model's classes.",
        )
    whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    content = tf.lookup.TextFileInitializer(str(path), tf.int64, number, tf.string, whole)
    return tf.lookup.StaticHashTable(content, "")
