"""Requests to every signature of the models of tests/support/odd_models.py, and the right answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tfx_export.client import Client, Model, ServerError

A = {"a": np.array([1.0, 2.0], np.float32)}
B = np.array([2.0, 4.0], np.float32)
ROW = np.array([[0, 1, 0, 2, 0]], np.float32)


@dataclass(frozen=True)
class Call:
    """A request. `expected` is the value of `output`; if it is a text, the server refuses with an error that has it."""

    model: str
    signature: str
    inputs: Mapping[str, np.ndarray]
    output: str
    expected: np.ndarray | str

    def failure(self, client: Client) -> str:
        """Sends the request; returns what is wrong with the answer, or an empty text."""
        try:
            answer = client.predict(Model(self.model, signature=self.signature), self.inputs, [self.output])
        except ServerError as error:
            refused = isinstance(self.expected, str) and self.expected in str(error)
            return "" if refused else f"{self.model}, {self.signature}: {error}"
        value = answer[self.output]
        right = not isinstance(self.expected, str) and np.array_equal(value, self.expected)
        return "" if right else f"{self.model}, {self.signature}: {value}"


def _calls() -> Iterator[Call]:
    for model in ("sparse_input", "huge_shape", "ragged_output", "sparse_output", "wrong_names"):
        yield Call(model, "serving_default", A, "b", B)
    yield Call("sparse_input", "sparse", {"x": ROW}, "y", "The input x of signature sparse is a sparse tensor")
    yield Call("huge_shape", "big", {"x": np.ones((1, 2, 3), np.float32)}, "y", np.array(6, np.float32))
    yield Call("huge_shape", "big", {"x": np.ones(2, np.float32)}, "y", "Invalid reduction dimension")
    five = np.full((2, 1, 1, 1, 1), 3, np.float32)
    yield Call("large_volume", "serving_default", {"x": five}, "y", np.array([3, 3], np.float32))
    yield Call("no_signatures", "serving_default", A, "b", "Signatures of the model: none")
    yield Call("echo", "serving_default", {"x": A["a"]}, "y", A["a"])
    height, width = np.array([2], np.int32), np.array([3], np.int32)
    images = {"images": np.ones((1, 2, 3, 3), np.float32), "height": height, "width": width}
    yield Call("tapped", "predict_images", images, "map", np.full((1, 2, 3), 6, np.float32))
    vector, matrix = {"x": A["a"]}, {"x": A["a"].reshape(2, 1)}
    yield Call("two_ranks", "serving_default", vector, "y", np.array([3, 4], np.float32))
    yield Call("two_ranks", "serving_default", matrix, "y", np.array([[3], [4]], np.float32))
    yield Call("two_ranks", "z", vector, "z", "rank")
    yield Call("two_ranks", "z", matrix, "z", np.array([[1, 1], [2, 2]], np.float32))
    yield Call("wrong_names", "odd", A, "b", "there_is_no_such_tensor")
    splits = np.array([0, 1, 2], np.int64)
    flat: dict[str, np.ndarray] = {"flat": A["a"], "splits": splits}
    yield Call("ragged_output", "odd", flat, "r", "The output r of signature odd is a composite tensor")
    yield Call("sparse_output", "odd", {"x": ROW}, "s", "The output s of signature odd is a")
    yield Call("bad_text", "serving_default", {"t": np.array([b"1.5"], object)}, "n", np.array([1.5], np.float32))
    text = np.array([b"\xff\xfe"], object)
    yield Call("bad_text", "serving_default", {"t": text}, "n", "StringToNumberOp could not correctly convert string")


CALLS = (*_calls(),)
MODELS = (*dict.fromkeys(call.model for call in CALLS),)
