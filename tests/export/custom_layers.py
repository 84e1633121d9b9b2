"""Layers that a user might have of their own, for files that refer to them."""

from typing import Any

import keras
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


def times_three(x: Any) -> Any:
    return x * 3.0


OBJECTS = {"Scale": Scale, "Scale2": Scale2}
