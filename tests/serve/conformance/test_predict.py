"""Predict gives the same values, shapes, dtypes and errors over every protocol, for TF1 and TF2 models."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.protocols import DTYPES, RARE_DTYPES, PredictClient, RefusedError, Target
from tfx_export.savedmodel.dtypes import input_dtype

# numpy's kind of a dtype -> the kinds of its values after a round trip through JSON; bfloat16 is "V".
JSON_KINDS = {"f": "f", "V": "f", "i": "iu", "u": "iu", "b": "b", "O": "O"}

SHAPES: list[tuple[int, ...]] = [(1,), (3,), (2, 3), (2, 1, 2), (4, 0), (70,)]


def sample(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Returns values that include the limits of `dtype`, in an order without symmetry."""
    count = math.prod(shape)
    if dtype == "string":
        strings = np.empty(count, np.object_)
        strings[:] = [(b"", b"abc", b"\xff\xfe", '\u00fc\n"'.encode(), b"\0")[index % 5] for index in range(count)]
        return strings.reshape(shape)
    if dtype == "bool":
        return np.array([index % 3 == 0 for index in range(count)], np.bool_).reshape(shape)
    if dtype.startswith(("int", "uint")):
        limits = np.iinfo(dtype)
        values = [limits.max, limits.min, 0, 1, limits.max // 3]
        return np.array([values[index % 5] for index in range(count)], dtype).reshape(shape)
    steps = np.arange(count) / 7 - 1
    if dtype.startswith("complex"):
        return (steps + 1j * steps[::-1]).astype(dtype).reshape(shape)
    floats: NDArray[Any] = steps.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    return floats.reshape(shape)


@pytest.mark.parametrize("model", ["echo_tf1", "echo_tf2"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_returned_in_every_shape(predict_client: PredictClient, model: str, dtype: str) -> None:
    target = Target(model, dtype)
    if dtype in predict_client.unsupported:
        if dtype.startswith("complex"):
            with pytest.raises(RefusedError):
                predict_client.predict(target, {"x": np.ones(1)})
        return
    for shape in SHAPES:
        array = sample(dtype, shape)
        outputs = predict_client.predict(target, {"x": array})
        assert outputs.keys() == {"y"}
        answer = outputs["y"]
        if predict_client.returns_dtypes:
            assert answer.dtype == array.dtype
        elif array.size:
            # JSON keeps the kind and the value of a number, not its dtype.
            assert answer.dtype.kind in JSON_KINDS[array.dtype.kind]
        assert answer.shape == array.shape
        assert answer.astype(array.dtype).tolist() == array.tolist()


def test_rare_dtypes_are_returned_or_refused(predict_client: PredictClient) -> None:
    for dtype in RARE_DTYPES:
        target = Target("echo_tf1", dtype)
        if not predict_client.returns_dtypes:
            with pytest.raises(RefusedError, match=f"to type: {dtype}"):
                predict_client.predict(target, {"x": np.ones(1)})
        if dtype in predict_client.unsupported:
            continue
        sent = input_dtype(f"DT_{dtype.upper()}")
        integers = np.arange(140, dtype=np.int32) - 70
        for shape in ((2, 70), (3,), (0,)):
            # All bit patterns of 2 bits, many of 8 bits.
            array = np.resize(integers.astype(sent[0] if sent.names else sent), shape)
            answer = predict_client.predict(target, {"x": array.view(sent)})["y"]
            assert (answer.dtype, answer.shape) == (array.dtype, shape), dtype
            assert answer.tobytes() == array.tobytes(), dtype


def test_tensor_of_a_quantized_input_is_not_a_tensor_of_its_integers(predict_client: PredictClient) -> None:
    if predict_client.is_rest:
        return
    for dtype, other in (("qint8", np.int8), ("int8", input_dtype("DT_QINT8"))):
        with pytest.raises(RefusedError, match=f"Expects arg.0. to be {dtype} but "):
            predict_client.predict(Target("echo_tf1", dtype), {"x": np.zeros(1, np.int8).view(other)})


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def strings(*values: bytes) -> NDArray[Any]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("target", "inputs", "expected"),
    [
        (Target("plus"), {"x": f32([1, 2])}, {"y": f32([5, 6])}),
        (Target("plus", version=4), {"x": f32([0.5])}, {"y": f32([4.5])}),
        (Target("plus", "serving_default"), {"x": f32([0.1])}, {"y": f32([0.1]) + f32(4)}),
        (Target("plus"), {"x": f32([np.nan, np.inf, -np.inf])}, {"y": f32([np.nan, np.inf, -np.inf])}),
        # A declared shape is not enforced if the graph accepts another.
        (Target("half_plus_two"), {"x": f32([2, 3, 4])}, {"y": f32([3, 3.5, 4])}),
        (Target("half_plus_two"), {"x": f32([[2], [4]])}, {"y": f32([[3], [4]])}),
        (Target("half_plus_two"), {"x": f32([[[2]], [[4]]])}, {"y": f32([[[3]], [[4]]])}),
        (Target("image"), {"x": np.ones((1, 8, 8, 3), np.float32)}, None),
    ],
    ids=str,
)  # fmt: skip
def test_values(
    predict_client: PredictClient, target: Target, inputs: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    answer = predict_client.predict(target, inputs)
    if expected is None:
        assert answer["y"].shape == (1, 8, 8, 4)
        np.testing.assert_allclose(answer["y"][0, 1:-1, 1:-1], 1, rtol=1e-6)
        return
    assert answer.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(answer[name].astype(array.dtype), array)


@pytest.mark.parametrize(
    ("target", "inputs", "expected"),
    [
        (Target("half_plus_two", "vector"), {"x": f32([1, 2])}, {"x2": [2.0, 4.0], "y": [2.5, 3.0]}),
        (Target("words"), {"word": strings(b"apple", b"cherry")},
         {"echo_bytes": None, "length": [5, 6], "price": [1.0, 3.0]}),
    ],
    ids=str,
)  # fmt: skip
def test_several_outputs(
    predict_client: PredictClient, target: Target, inputs: dict[str, Any], expected: dict[str, Any]
) -> None:
    if "several outputs" in predict_client.unsupported:
        return
    answer = predict_client.predict(target, inputs)
    assert answer.keys() == expected.keys()
    assert {name: answer[name].tolist() for name, value in expected.items() if value is not None} == {
        name: value for name, value in expected.items() if value is not None
    }


@pytest.mark.parametrize(
    ("target", "inputs", "code", "status", "text"),
    [
        (Target("nope"), {"x": f32([1])}, "NOT_FOUND", 404, "Servable not found for request: Latest(nope)"),
        (Target("plus", version=9), {"x": f32([1])}, "NOT_FOUND", 404,
         "Servable not found for request: Specific(plus, 9)"),
        (Target("plus", label="x"), {"x": f32([1])}, "INVALID_ARGUMENT", 400, "Unrecognized servable version label: x"),
        (Target("plus", "nope"), {"x": f32([1])}, "FAILED_PRECONDITION", 400, '"nope" not found'),
        (Target("image"), {"x": f32([1])}, "INVALID_ARGUMENT", 400, "rank"),
        (Target("image"), {"x": np.ones((1, 8, 8, 5), np.float32)}, "INVALID_ARGUMENT", 400, ""),
    ],
    ids=str,
)  # fmt: skip
def test_refusals(
    predict_client: PredictClient, target: Target, inputs: dict[str, Any], code: str, status: int, text: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        predict_client.predict(target, inputs)
    assert caught.value.code == (status if predict_client.is_rest else code)
    assert text in caught.value.message


@pytest.mark.parametrize("rank", range(1, 7))
def test_wrong_rank_does_not_end_the_server(predict_client: PredictClient, rank: int) -> None:
    x = np.ones((3,) * rank, np.float32)
    if rank == 4:
        assert predict_client.predict(Target("image"), {"x": x})["y"].shape == (3, 3, 3, 4)
        return
    with pytest.raises(RefusedError) as caught:
        predict_client.predict(Target("image"), {"x": x})
    assert caught.value.code in (400, "INVALID_ARGUMENT")
