"""Layers and models as users write them, for model files that refer to them."""

from typing import Any

import keras
import tensorflow as tf
import tf_keras


class Scale(keras.layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return x * 3.0


class Scale2(tf_keras.layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return x * 3.0


class Doubler(keras.Model):  # type: ignore[misc]
    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.dense = keras.layers.Dense(2)

    def call(self, rows: Any) -> Any:
        return self.dense(rows) * 2.0


class Pair(keras.Model):  # type: ignore[misc]
    """A model with two inputs, as a dictionary or a list."""

    def call(self, pair: Any) -> Any:
        first, second = (pair["a"], pair["b"]) if isinstance(pair, dict) else pair
        return first - second


class VectorTable(keras.Model):  # type: ignore[misc]
    """Looks up vectors by number in a mutable table: it knows 1 and 7, and returns [0.0, 0.5] for other numbers."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        if kind == "dense":
            self.table = tf.lookup.experimental.DenseHashTable(tf.int64, tf.float32, [0.0, 0.5], -1, -2)
        else:
            self.table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, [0.0, 0.5])
        self.table.insert(tf.constant([1, 7, 3], tf.int64), tf.constant([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]))
        self.table.remove(tf.constant([3], tf.int64))

    def call(self, x: Any) -> Any:
        return self.table.lookup(tf.cast(x, tf.int64))


class Stream(keras.Model):  # type: ignore[misc]
    """Returns elements of a dataset. Its position in the dataset cannot be stored in a SavedModel."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = iter(tf.data.Dataset.range(3))

    def call(self, x: Any) -> Any:
        return x + tf.cast(self.stream.get_next(), x.dtype)


class PairsOnly(keras.Model):  # type: ignore[misc]
    """Works with batches of two only."""

    def call(self, x: Any) -> Any:
        if x.shape[0] != 2:
            raise RuntimeError("two rows, please")
        return x[::-1]


class Never(keras.Model):  # type: ignore[misc]
    """Raises an error for each call after it is built."""

    calls = 0

    def call(self, x: Any) -> Any:
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("not today")
        return x


def times_three(x: Any) -> Any:
    return x * 3.0


OBJECTS = {"Scale": Scale, "Scale2": Scale2}
