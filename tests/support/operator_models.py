"""Writes SavedModels with many kinds of operators, for mutants, below argv[1]: `NAME/1`. Run as a program.

operators   TensorFlow 1: about thirty signatures, each with operators of its own
functions   TensorFlow 2: the same kinds of operators in functions, loops and branches, and a table
weights     eight layers, 40 MB: its weights are mapped
pooled      TensorFlow 2: maximum pooling of images of any size; in `counted` with a variable that it changes
"""

# TensorFlow has no types: its base classes and decorators are Any.
# mypy: disable-error-code="misc,untyped-decorator"

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.lean_tensorflow import tf, tf1
from tests.support.odd_models import Signatures, signature, write

SIZES = (64, 1280, 1280, 1280, 1280, 1280, 1280, 1280, 4)


def variable(*shape: int) -> Any:
    return tf1.get_variable(f"w{len(tf1.global_variables())}", shape, initializer=tf1.ones_initializer())


# Name of a signature -> the shape and dtype of its inputs, and the function of the outputs.
IMAGE, VOLUME, ROWS, WORDS = [None, 6, 6, 3], [None, 4, 4, 4, 2], [None, 4], [None]
OPERATORS: dict[str, tuple[list[tuple[list[Any], Any]], Callable[..., Any]]] = {
    "conv2d": ([(IMAGE, tf.float32)], lambda x: tf.nn.relu(tf.nn.conv2d(x, variable(3, 3, 3, 2), 1, "SAME") + 1.0)),
    "depthwise": ([(IMAGE, tf.float32)], lambda x: tf.nn.depthwise_conv2d(x, variable(3, 3, 3, 2), [1] * 4, "SAME")),
    "transposed": (
        [(IMAGE, tf.float32)],
        lambda x: tf.nn.conv2d_transpose(x, variable(3, 3, 2, 3), [tf.shape(x)[0], 12, 12, 2], 2),
    ),
    "conv3d": ([(VOLUME, tf.float32)], lambda x: tf.nn.conv3d(x, variable(2, 2, 2, 2, 3), [1] * 5, "SAME")),
    "pooling": ([(IMAGE, tf.float32)], lambda x: tf.nn.avg_pool2d(tf.nn.max_pool2d(x, 2, 2, "SAME"), 2, 1, "VALID")),
    "pooling3d": ([(VOLUME, tf.float32)], lambda x: tf.nn.max_pool3d(x, 2, 1, "VALID")),
    "normalised": (
        [(IMAGE, tf.float32)],
        lambda x: tf1.nn.fused_batch_norm(x, variable(3), variable(3), variable(3), variable(3), is_training=False)[0],
    ),
    "response": ([(IMAGE, tf.float32)], lambda x: tf.nn.local_response_normalization(x)),
    "resized": ([(IMAGE, tf.float32)], lambda x: tf.image.resize(x, [3, 9])),
    "cropped": ([(IMAGE, tf.float32)], lambda x: tf.image.central_crop(tf.image.flip_left_right(x[0]), 0.5)),
    "dense": ([(ROWS, tf.float32)], lambda x: tf.nn.softmax(tf.nn.relu(x @ variable(4, 8) + variable(8)))),
    "half": ([(ROWS, tf.float32)], lambda x: tf.cast(x, tf.float16) @ tf.cast(variable(4, 2), tf.float16)),
    "batches": ([([None, 2, 3], tf.float32)] * 2, lambda x, y: tf.matmul(x, y, transpose_b=True)),
    "einsum": ([([None, 2, 3], tf.float32)], lambda x: tf.einsum("bij,jk->bik", x, variable(3, 2))),
    "solved": ([([None, 3, 3], tf.float64)], lambda x: tf.linalg.cholesky(tf.eye(3, dtype=tf.float64) + x * 0)),
    "embedded": ([(ROWS, tf.int32)], lambda x: tf.reduce_mean(tf.gather(variable(16, 2), x % 16), 1)),
    "one_hot": ([(ROWS, tf.int64)], lambda x: tf.reduce_max(tf.one_hot(x, 5), 1)),
    "top": ([(ROWS, tf.float32)], lambda x: tf.nn.top_k(x, 2)[1]),
    "sorted": ([(ROWS, tf.float32)], lambda x: tf.cumsum(tf.sort(x, 1), 1)),
    "sliced": ([([None, 4, 4], tf.float32)], lambda x: tf.strided_slice(x, [0, 1, 0], [2, 3, 4], [1, 1, 2])),
    "split": ([(ROWS, tf.float32)], lambda x: tf.concat(tf.split(x, 2, 1)[::-1], 1)),
    "reshaped": ([(ROWS, tf.float32)], lambda x: tf.transpose(tf.reshape(x, [-1, 2, 2]), [2, 0, 1])),
    "stacked": ([(ROWS, tf.float32)] * 2, lambda x, y: tf.unstack(tf.stack([x, y], 0))[1]),
    "padded": (
        [([None, 2, 2, 4], tf.float32)],
        lambda x: tf.nn.depth_to_space(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2),
    ),
    "tiled": ([(ROWS, tf.int32)], lambda x: tf.tile(x, [2, 3])),
    "blocks": ([(IMAGE, tf.float32)], lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]])),
    "segments": ([(ROWS, tf.float32)], lambda x: tf.math.segment_sum(x, tf.range(tf.shape(x)[0]) // 2)),
    "scattered": ([(WORDS, tf.int32)], lambda x: tf.scatter_nd(x[:, None] % 4, x, [4])),
    "masked": ([(ROWS, tf.float32)], lambda x: tf.where(tf.boolean_mask(x, x > 0) > 1.0)),
    "unique": ([(WORDS, tf.int64)], lambda x: tf.unique(x)[0]),
    "sparse": ([(ROWS, tf.float32)], lambda x: tf.sparse.sparse_dense_matmul(tf.sparse.from_dense(x), variable(4, 2))),
    "ragged": ([(WORDS, tf.string)], lambda x: tf.strings.split(x, " ").to_tensor("")),
    "words": ([(WORDS, tf.string)], lambda x: tf.strings.to_hash_bucket_fast(tf.strings.join([x, "a"]), 9)),
    "bytes": ([(WORDS, tf.string)], lambda x: tf1.decode_raw(tf.strings.substr(x, 0, 1), tf.uint8)),
    "numbers": ([(WORDS, tf.float32)], lambda x: tf.strings.to_number(tf.strings.as_string(x))),
    "spectrum": ([(ROWS, tf.float32)], lambda x: tf.math.real(tf.signal.fft(tf.cast(x, tf.complex64)))),
    "bits": ([(WORDS, tf.uint8)], lambda x: tf.bitwise.invert(x)),
    "quantised": (
        [(ROWS, tf.float32)],
        lambda x: tf.quantization.fake_quant_with_min_max_vars_per_channel(x, variable(4) * -1.0, variable(4)),
    ),
    "boxes": ([([None, 4], tf.float32), (WORDS, tf.float32)], lambda x, y: tf.image.non_max_suppression(x, y, 3)),
    "counted": (
        [([], tf.int32)],
        lambda x: tf1.while_loop(lambda i, s: i < tf.minimum(x, 9), lambda i, s: (i + 1, s + i), (0, 0))[1],
    ),
    "chosen": ([([], tf.bool), (ROWS, tf.float32)], lambda b, x: tf1.cond(b, lambda: x, lambda: x @ variable(4, 4))),
}  # fmt: skip


def operators() -> Signatures:
    found = {}
    for name, (specs, function) in OPERATORS.items():
        with tf1.name_scope(name):
            inputs = [tf1.placeholder(dtype, shape) for shape, dtype in specs]
            outputs = function(*inputs)
        found[name] = signature({f"x{number}": tensor for number, tensor in enumerate(inputs)}, {"y": outputs})
    return found


class Functions(tf.Module):
    def __init__(self) -> None:
        self.kernel = tf.Variable(tf.ones([3, 3, 3, 3]))
        self.matrix = tf.Variable(tf.ones([4, 4]))
        keys = tf.constant(["a", "b"])
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, tf.constant([1.0, 2.0])), 0.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 3], tf.float32), tf.TensorSpec([], tf.int32)])
    def convolved(self, x: Any, times: Any) -> Any:
        for _ in tf.range(tf.minimum(times, 3)):
            x = tf.nn.max_pool2d(tf.nn.conv2d(x, self.kernel, 1, "SAME"), 2, 1, "SAME")
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None, 5, 4], tf.float32)])
    def recurrent(self, x: Any) -> Any:
        state = tf.zeros([tf.shape(x)[0], 4])
        for step in tf.range(5):
            state = tf.tanh(tf.gather(x, step, axis=1) + state @ self.matrix)
        return {"state": state}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def looked_up(self, x: Any) -> Any:
        return {"y": tf.map_fn(lambda word: self.table.lookup(word), x, fn_output_signature=tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32), tf.TensorSpec([], tf.int32)])
    def switched(self, x: Any, branch: Any) -> Any:
        return {"y": tf.switch_case(branch, [lambda: x, lambda: x @ self.matrix, lambda: tf.nn.softmax(x)])}


class Pooled(tf.Module):
    def __init__(self) -> None:
        self.calls = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], tf.float32, "x")])
    def flat(self, x: Any) -> Any:
        return {"y": tf.nn.max_pool2d(x, 2, 1, "VALID")}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], tf.float32, "x")])
    def deep(self, x: Any) -> Any:
        return {"y": tf.nn.max_pool3d(x[:, None] + tf.zeros([1, 2, 1, 1, 1]), 2, 1, "VALID")[:, 0]}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], tf.float32, "x")])
    def loop(self, x: Any) -> Any:
        return {"y": tf.while_loop(lambda _: True, lambda x: self.padded(x), [x], maximum_iterations=1)[0][:, 1:, 1:]}

    def padded(self, x: Any) -> Any:
        return tf.pad(tf.nn.max_pool2d(x, 2, 1, "VALID"), [[0, 0], [1, 0], [1, 0], [0, 0]])

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], tf.float32, "x")])
    def counted(self, x: Any) -> Any:
        return {"y": tf.nn.max_pool2d(x, 2, 1, "VALID") + 0.0 * self.calls.assign_add(1.0)}


class Weights(tf.Module):
    def __init__(self) -> None:
        self.weights = [tf.Variable(tf.ones(pair) / pair[0]) for pair in pairwise(SIZES)]

    @tf.function(input_signature=[tf.TensorSpec([None, SIZES[0]], tf.float32, "x")])
    def run(self, x: Any) -> Any:
        for weight in self.weights:
            x = tf.nn.relu(x @ weight)
        return {"y": x}


def main(folder: Path) -> None:
    write(folder, operators)
    functions = Functions()
    signatures = {name: getattr(functions, name) for name in ("convolved", "recurrent", "looked_up", "switched")}
    tf.saved_model.save(functions, str(folder / "functions" / "1"), signatures)
    pooled = Pooled()
    for name, names in (("pooled", ("flat", "deep", "loop")), ("counted", ("counted",))):
        tf.saved_model.save(pooled, str(folder / name / "1"), {name: getattr(pooled, name) for name in names})
    weights = Weights()
    tf.saved_model.save(weights, str(folder / "weights" / "1"), {"serving_default": weights.run})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
