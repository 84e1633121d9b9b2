"""Random requests to a running server. Each gets a result or a proper error."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as some

from tests.serve.attacks import test_grpc, test_rest
from tests.serve.attacks.conftest import AttackedServer

fuzzed: Callable[[Any], Any] = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

METHODS = ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata")
LEAVES = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(max_size=8)
    | some.fixed_dictionaries({"b64": some.text(max_size=8)})
)
VALUES = some.recursive(
    LEAVES,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.sampled_from("xab"), inner, max_size=3),
    max_leaves=20,
)
DOCUMENTS = some.fixed_dictionaries(
    {},
    optional={
        "instances": VALUES,
        "inputs": VALUES,
        "examples": VALUES,
        "context": VALUES,
        "signature_name": some.sampled_from(["vector", "classify", "regress", "serving_default"]) | VALUES,
    },
)
PATHS = tuple(
    f"/v1/models/{model}:{verb}"
    for model in ("half_plus_two", "words", "image", "hidden", "defaulted")
    for verb in ("predict", "classify", "regress")
)


@fuzzed
@given(path=some.sampled_from(PATHS), document=DOCUMENTS)
def test_random_documents(attacked_server: AttackedServer, path: str, document: dict[str, Any]) -> None:
    status, message = test_rest.post(attacked_server, json.dumps(document).encode(), path)
    assert status in {200, 400, 404, 413, 501}, message


@fuzzed
@given(
    method=some.sampled_from(METHODS),
    model=some.sampled_from(["half_plus_two", "words", "image", "counter"]),
    cuts=some.lists(some.tuples(some.integers(0, 200), some.integers(0, 8), some.binary(max_size=8)), max_size=4),
)
def test_random_messages(
    attacked_server: AttackedServer, method: str, model: str, cuts: list[tuple[int, int, bytes]]
) -> None:
    message = test_grpc.predict(model=model).SerializeToString()
    for position, removed, added in cuts:
        message = message[:position] + added + message[position + removed :]
    code, _ = test_grpc.send(attacked_server, message, f"{test_grpc.SERVICE}/{method}")
    assert code in test_grpc.REFUSALS | {"OK"}
