"""The layout cache of PredictRequest and the template cache of PredictResponse give the same result as protobuf."""

import random
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from google.protobuf.message import DecodeError

from serve.codec import tensor
from serve.codec.predict_request import MAX_LAYOUTS_PER_KEY, PredictReader, PredictRequest
from serve.codec.predict_response import predict_response
from serve.errors import ServeError
from tfx_export import wire
from tfx_export.savedmodel.dtypes import from_numpy
from tfx_export.savedmodel.signature import PREDICT, Signature, TensorSpec

LIMIT = 1000
MODEL = "a_model_with_a_name"


def request(as_content: bool = False, **arrays: Any) -> wire.PredictRequest:
    message = wire.PredictRequest(output_filter=["y"])
    message.model_spec.name = MODEL
    message.model_spec.version.value = 7
    for name, values in arrays.items():
        message.inputs[name].CopyFrom(tensor.encode(np.asarray(values), as_content=as_content))
    return message


def read(reader: PredictReader, data: bytes) -> tuple[PredictRequest, dict[str, Any]]:
    found = reader.read(data)
    arrays = found.inputs()
    return found, {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in arrays.items()}


def outcome(reader: PredictReader, data: bytes) -> object:
    """Returns everything that a handler reads from the request, or its error."""
    try:
        found, arrays = read(reader, data)
    except (DecodeError, ServeError) as error:
        return type(error), getattr(error, "message", "")
    return arrays, found.model_spec.SerializeToString(deterministic=True), list(found.head.output_filter)


def parsed(found: PredictRequest) -> bool:
    """Whether protobuf parsed the message: only then it has inputs."""
    return bool(found.head.inputs)


FLOATS, DOUBLES = np.array([[1.5, -2]], np.float32), np.array([0.1], np.float64)
CACHED = {
    "floats": request(x=FLOATS),
    "doubles": request(x=DOUBLES),
    "two": request(x=FLOATS, another=DOUBLES),
    "content": request(
        as_content=True,
        x=FLOATS,
        n=np.array([3, 4], np.int64),
        c=np.array([1j], np.complex64),
        h=np.array([2], np.float16),
    ),
    "scalar": request(x=np.array(3, np.float32)),
    "large": request(x=np.zeros(LIMIT, np.float32)),
}
NOT_CACHED = {
    "integers": request(n=np.array([1, 2], np.int32)),
    "strings": request(s=np.array([b"a", b"bc"], object)),
    "strings as content": request(as_content=True, s=np.array([b"a", b"bc"], object)),
    "booleans": request(as_content=True, b=np.array([True, False])),
    "bfloat16": request(as_content=True, b=np.array([1, 2], ml_dtypes.bfloat16)),
    "one of two": request(x=FLOATS, n=np.array([1], np.int32)),
    "nothing": request(x=np.zeros([0, 2], np.float32)),
    "fewer values than the shape says": request(x=np.array([1], np.float32)),
    "more values than the shape says": request(x=np.array([1, 2, 3], np.float32)),
    "in another dtype's field": request(x=np.array([1, 2], np.float32)),
    "in both fields": request(x=np.array([1, 2], np.float32)),
    "many other bytes": request(x=FLOATS),
}
for name, size in (("fewer values than the shape says", 4), ("more values than the shape says", 2)):
    NOT_CACHED[name].inputs["x"].tensor_shape.dim[0].size = size
NOT_CACHED["in another dtype's field"].inputs["x"].double_val.extend([5, 6])
NOT_CACHED["in both fields"].inputs["x"].tensor_content = np.array([7, 8], np.float32).tobytes()
NOT_CACHED["many other bytes"].output_filter.extend(["z" * 5000])
NOT_CACHED_BYTES = {name: message.SerializeToString(deterministic=True) for name, message in NOT_CACHED.items()}
# protobuf always packs numbers. This is a float_val of 32 bits after a dtype and a shape of [1].
SEPARATE = b"\x08\x01\x12\x04\x12\x02\x08\x01\x2d" + np.float32(9).tobytes()
NOT_CACHED_BYTES["numbers in separate fields"] = request().SerializeToString() + b"\x12\x12\x0a\x01x\x12\x0d" + SEPARATE


@pytest.mark.parametrize("name", CACHED)
def test_cached_layout_is_not_parsed_again(name: str) -> None:
    reader, message = PredictReader(LIMIT), CACHED[name]
    first, arrays = read(reader, message.SerializeToString(deterministic=True))
    assert parsed(first)
    for proto in message.inputs.values():
        # Other numbers with the same number of bytes.
        content = np.frombuffer(proto.tensor_content, np.uint8) if proto.tensor_content else None
        if content is not None:
            proto.tensor_content = (content + 1).tobytes()
        for field in (proto.float_val, proto.double_val):
            field[:] = [value + 1 for value in field]
    data = message.SerializeToString(deterministic=True)
    second, changed = read(reader, data)
    assert not parsed(second)
    assert outcome(reader, data) == outcome(PredictReader(LIMIT), data)
    assert changed != arrays


@pytest.mark.parametrize("name", NOT_CACHED_BYTES)
def test_other_requests_are_always_parsed(name: str) -> None:
    reader, data = PredictReader(LIMIT), NOT_CACHED_BYTES[name]
    for _ in range(2):
        found, _ = read(reader, data)
        assert parsed(found)
        assert outcome(reader, data) == outcome(PredictReader(LIMIT), data)


def test_too_many_values_are_always_refused() -> None:
    reader, data = PredictReader(LIMIT), request(x=np.zeros(LIMIT + 1, np.float32)).SerializeToString()
    for _ in range(2):
        with pytest.raises(ServeError, match="at most 1000 are allowed"):
            reader.read(data).inputs()


@pytest.mark.parametrize("extra", [
    b"\x12\x00",
    request(x=FLOATS + 1).SerializeToString()[-30:],
    wire.PredictRequest(inputs={"x": request(x=FLOATS + 1).inputs["x"]}).SerializeToString(),
    # An unknown group with an entry in it.
    b"".join([b"\x9b\x06", request(x=FLOATS + 1).SerializeToString(), b"\x9c\x06"]),
    b"\x98\x06\x01",
    b"\x9d\x06abcd",
], ids=str)  # fmt: skip
@pytest.mark.parametrize("after", [True, False])
def test_requests_with_additional_bytes_are_read_like_protobuf(extra: bytes, after: bool) -> None:
    normal = request(x=FLOATS).SerializeToString()
    data = normal + extra if after else extra + normal
    reader = PredictReader(LIMIT)
    for _ in range(2):
        assert outcome(reader, data) == outcome(PredictReader(LIMIT), data)
    assert outcome(reader, normal) == outcome(PredictReader(LIMIT), normal)


@pytest.mark.parametrize("name", CACHED)
def test_damaged_requests_are_read_as_without_a_cache(name: str) -> None:
    chance = random.Random(name)
    data = CACHED[name].SerializeToString(deterministic=True)
    reader = PredictReader(LIMIT)
    outcome(reader, data)
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 3])):
            # Most of the damage is in the first bytes, which hold the structure.
            damaged[chance.randrange(min(len(damaged), 120))] = chance.choice(
                [0, 1, 2, 8, 10, 18, 34, 42, chance.randrange(256)]
            )
        if chance.random() < 0.2:
            del damaged[chance.randrange(len(damaged)) :]
        assert outcome(reader, bytes(damaged)) == outcome(PredictReader(LIMIT), bytes(damaged)), bytes(damaged)


def test_requests_with_the_same_layout_key_are_distinguished() -> None:
    reader = PredictReader(LIMIT)
    for version in [*range(2 * MAX_LAYOUTS_PER_KEY), *range(2 * MAX_LAYOUTS_PER_KEY)]:
        message = request(x=FLOATS * version)
        message.model_spec.version.value = version + 1
        found, arrays = read(reader, message.SerializeToString(deterministic=True))
        assert found.model_spec.version.value == version + 1
        assert arrays["x"][2] == repr((FLOATS * version).tolist())


OUTPUTS: dict[str, dict[str, Any]] = {
    "floats": {"y": FLOATS},
    "strided": {"y": np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]},
    "several": {
        "y": FLOATS,
        "doubles": DOUBLES,
        "complex": np.array([1j], np.complex64),
        "booleans": np.array([True, False]),
    },
    "integers": {"y": np.array([-1, 300], np.int64)},
    "halves": {"y": np.array([1, 2], np.float16)},
    "strings": {"y": np.array([b"a", b""], object)},
    "some of each": {"y": FLOATS, "n": np.array([7], np.int32)},
    "empty": {"y": np.zeros([0, 3], np.float32)},
    "scalar": {"y": np.array(4, np.float32)},
    "none": {},
}


@pytest.mark.parametrize("as_content", [False, True])
@pytest.mark.parametrize("name", OUTPUTS)
def test_response_is_the_same_as_protobuf_writes(name: str, as_content: bool) -> None:
    outputs = {alias: np.asarray(array) for alias, array in OUTPUTS[name].items()}
    declared = {alias: TensorSpec("t", from_numpy(array.dtype), None) for alias, array in outputs.items()}
    for shift in (0, 1):
        arrays = {
            alias: array if array.dtype == object else array + array.dtype.type(shift)
            for alias, array in outputs.items()
        }
        data = predict_response(MODEL, 3, Signature("s", PREDICT, {}, declared), arrays, as_content=as_content)
        expected = wire.PredictResponse()
        expected.model_spec.name = MODEL
        expected.model_spec.version.value = 3
        expected.model_spec.signature_name = "s"
        for alias, array in arrays.items():
            expected.outputs[alias].CopyFrom(tensor.encode(array, as_content=as_content))
        assert wire.PredictResponse.FromString(data) == expected
        for alias, array in arrays.items():
            assert tensor.decode(wire.PredictResponse.FromString(data).outputs[alias]).tolist() == array.tolist()


def test_quantised_outputs_keep_their_dtype() -> None:
    for dtype in ("DT_QINT8", "DT_INT8"):
        signature = Signature("s", PREDICT, {}, {"y": TensorSpec("t", dtype, None)})
        data = predict_response(MODEL, 3, signature, {"y": np.array([-3], np.int8)}, as_content=True)
        assert (
            wire.PredictResponse.FromString(data).outputs["y"].dtype
            == tensor.encode(np.array([1], np.int8), dtype=dtype).dtype
        )
