"""Classify and Regress give the same results over gRPC and REST, for TF1 and TF2 models."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.example_protocols import Example, ExampleClient, GrpcExampleClient
from tests.support.protocols import DTYPES, RARE_DTYPES, RefusedError, Target

BOTH = pytest.mark.parametrize("model", ["rated_tf1", "rated_tf2"])

LISTS: dict[str, tuple[Sequence[Example], Example | None, list[float], list[str]]] = {
    # examples, context, regression, first label
    "one": ([{"a": [1.0, 2.0]}], None, [3.0], ["?"]),
    "several": ([{"a": [1.0, 2.0]}, {"a": [0.5, 0.25], "k": [4]}], None, [3.0, 3.0], ["?", "?"]),
    "bytes": ([{"a": [1.0, 2.0], "s": [b"caf\xc3\xa9"]}], None, [3.0], ["caf\u00e9"]),
    "negative": ([{"a": [-1.5, 0.5], "k": [-(1 << 40)]}], None, [float(1 << 40)], ["?"]),
    "a context": ([{"a": [1.0, 2.0]}, {"a": [2.0, 2.0]}], {"k": [2], "s": [b"c"]}, [6.0, 8.0], ["c", "c"]),
    "a context overridden": (
        [{"a": [1.0, 2.0], "k": [3], "s": [b"e"]}, {"a": [1.0, 1.0]}], {"k": [2], "s": [b"c"]}, [9.0, 4.0], ["e", "c"],
    ),
    "all from the context": ([{}, {}, {}], {"a": [1.0, 0.5]}, [1.5] * 3, ["?"] * 3),
    "an unknown feature": ([{"a": [1.0, 2.0], "z": [7, 8, 9], "y": [b"\xff"]}], None, [3.0], ["?"]),
    "many": ([{"a": [float(n), 0.5]} for n in range(300)], None, [n + 0.5 for n in range(300)], ["?"] * 300),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("signature", ["regress", "", "serving_default"])
@pytest.mark.parametrize("case", LISTS)
def test_regress(examples: ExampleClient, model: str, signature: str, case: str) -> None:
    given, context, values, _ = LISTS[case]
    assert examples.regress(Target(model, signature), given, context) == values


@BOTH
@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize("case", LISTS)
def test_classify(examples: ExampleClient, model: str, version: int | None, case: str) -> None:
    given, context, _, labels = LISTS[case]
    results = examples.classify(Target(model, "classify", version=version), given, context)
    assert [[label for label, _ in row] for row in results] == [[label, "other"] for label in labels]
    totals = [sum(float(value) for value in (context or {}).get("a", ())) for _ in given]
    for row, example, total in zip(results, given, totals, strict=True):
        expected = sum(float(value) for value in example["a"]) if "a" in example else total
        assert [score for _, score in row] == [expected, -expected]


@BOTH
@pytest.mark.parametrize(
    ("signature", "expected"),
    [("scores", [[("", 3.0), ("", -3.0)]]), ("classes", [[("?", 0.0), ("other", 0.0)]])],
)
def test_classification_with_scores_or_labels_only(
    examples: ExampleClient, model: str, signature: str, expected: Any
) -> None:
    assert examples.classify(Target(model, signature), [{"a": [1.0, 2.0]}]) == expected


@BOTH
@pytest.mark.parametrize("case", LISTS)
def test_multi_inference_gives_the_results_of_each_method(
    grpc_examples: GrpcExampleClient, model: str, case: str
) -> None:
    given, context, _, _ = LISTS[case]
    tasks = [(Target(model, "classify"), "classify"), (Target(model), "regress"), (Target(model, "scores"), "classify")]
    assert grpc_examples.multi_inference(tasks, given, context) == [
        (grpc_examples.classify if method == "classify" else grpc_examples.regress)(target, given, context)
        for target, method in tasks
    ]


RATED_TF1 = Target("rated_tf1")


@pytest.mark.parametrize(
    ("tasks", "code", "text"),
    [
        ([], "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ([(Target(""), "regress")], "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ([(RATED_TF1, "regress"), (Target(""), "regress")], "INVALID_ARGUMENT", "with an empty model name."),
        ([(Target("no"), "regress"), (RATED_TF1, "regress")], "NOT_FOUND", "Servable not found for request: Latest"),
        ([(RATED_TF1, "regress"), (Target("no"), "regress")], "INVALID_ARGUMENT", "must access the same model name"),
        ([(RATED_TF1, "regress"), (Target("rated_tf1", "serving_default"), "regress")], "INVALID_ARGUMENT",
         "Duplicate evaluation of signature: serving_default"),
        ([(Target("rated_tf1", "x"), "regress")], "INVALID_ARGUMENT",
         "Requested signature not found in model graph: x"),
        ([(Target("rated_tf1", version=9), "regress")], "NOT_FOUND", "Specific(rated_tf1, 9)"),
        ([(RATED_TF1, "predict")], "UNIMPLEMENTED", "Unsupported signature method_name: tensorflow/serving/predict"),
        ([(RATED_TF1, "classify")], "INVALID_ARGUMENT", "Expected classification signature outputs to contain"),
        ([(Target("rated_tf1", "classify"), "regress")], "INVALID_ARGUMENT", "Expected one output Tensor."),
        ([(Target("rated_tf1", "uneven"), "regress")], "INVALID_ARGUMENT", "Expected output Tensor shape"),
    ],
    ids=str,
)  # fmt: skip
def test_multi_inference_refuses(
    grpc_examples: GrpcExampleClient, tasks: list[tuple[Target, str]], code: str, text: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        grpc_examples.multi_inference(tasks, [{"a": [1.0, 2.0]}])
    assert (caught.value.code, text in caught.value.message) == (code, True), caught.value.message


GOOD: list[Example] = [{"a": [1.0, 2.0]}]
NO_TEXT: list[Example] = [{"a": [1.0, 2.0], "s": [b"\xff\xfe"]}]


@BOTH
def test_an_error_that_quotes_bytes_is_an_invalid_argument(grpc_examples: GrpcExampleClient, model: str) -> None:
    with pytest.raises(RefusedError, match="convert string: \ufffd\ufffd") as caught:
        grpc_examples.multi_inference([(Target(model, "number"), "regress")], NO_TEXT)
    assert caught.value.code == "INVALID_ARGUMENT"


@BOTH
@pytest.mark.parametrize(
    ("verb", "target", "given", "code", "status", "text"),
    [
        ("regress", {"model": "no"}, GOOD, "NOT_FOUND", 404, "Servable not found for request: Latest(no)"),
        ("classify", {"model": "no"}, GOOD, "NOT_FOUND", 404, "Servable not found for request: Latest(no)"),
        ("regress", {"version": 7}, GOOD, "NOT_FOUND", 404, "Servable not found for request: Specific("),
        ("classify", {"label": "x"}, GOOD, "INVALID_ARGUMENT", 400, "Unrecognized servable version label: x"),
        ("regress", {"signature": "x"}, GOOD, "INVALID_ARGUMENT", 400, "No signature was found with the name: x"),
        ("classify", {"signature": "x"}, GOOD, "INVALID_ARGUMENT", 400, "No signature was found with the name: x"),
        ("classify", {"signature": "regress"}, GOOD, "INVALID_ARGUMENT", 400,
         "Expected classification signature outputs to contain at least one of"),
        ("regress", {"signature": "classify"}, GOOD, "INVALID_ARGUMENT", 400, "Expected one output Tensor."),
        ("regress", {"signature": "scores"}, GOOD, "INVALID_ARGUMENT", 400, "No regression outputs found"),
        ("regress", {"signature": "uneven"}, GOOD, "INVALID_ARGUMENT", 400, "Expected output Tensor shape"),
        ("regress", {"model": "plus"}, GOOD, "INVALID_ARGUMENT", 400, "No regression inputs found in SignatureDef: "),
        ("classify", {"model": "plus"}, GOOD, "INVALID_ARGUMENT", 400, "No classification inputs found"),
        ("regress", {}, [{}], "INVALID_ARGUMENT", 400, "a (data type: float) is required but could not be found"),
        ("regress", {}, [{"a": [1.0]}], "INVALID_ARGUMENT", 400, "Key: a"),
        ("regress", {}, [{"a": [1, 2]}], "INVALID_ARGUMENT", 400, "Data types don't match"),
        ("classify", {"signature": "classify"}, [{"a": [b"x", b"y"]}], "INVALID_ARGUMENT", 400,
         "Data types don't match"),
        # The error message quotes bytes that are not valid UTF-8.
        ("regress", {"signature": "number"}, NO_TEXT, "INVALID_ARGUMENT", 400, "convert string: \ufffd\ufffd"),
        ("classify", {"signature": "number_scores"}, NO_TEXT, "INVALID_ARGUMENT", 400, "convert string: \ufffd\ufffd"),
    ],
)  # fmt: skip
def test_refusals(
    examples: ExampleClient,
    model: str,
    verb: str,
    target: dict[str, Any],
    given: list[Example],
    code: str,
    status: int,
    text: str,
) -> None:
    full_target = Target(**{"model": model, **target})
    with pytest.raises(RefusedError) as caught:
        (examples.classify if verb == "classify" else examples.regress)(full_target, given)
    assert caught.value.code == (status if examples.is_rest else code)
    assert text in caught.value.message


RATED = {"serving_default", "regress", "classify", "scores", "classes", "uneven", "number", "number_scores"}
SIGNATURES = {
    "rated_tf1": RATED,
    "rated_tf2": RATED,
    "words": {"serving_default", "classify", "regress"},
    "echo_tf1": {*DTYPES, *RARE_DTYPES},
    "echo_tf2": set(DTYPES),
    "hidden": {"loop", "branch", "reshaped"},
    "plus": {"serving_default"},
}


@pytest.mark.parametrize("model", SIGNATURES)
def test_metadata_has_every_signature(examples: ExampleClient, grpc_examples: ExampleClient, model: str) -> None:
    metadata = examples.metadata(Target(model))
    # TF2 also writes its initialisation as a signature, which TensorFlow Serving returns too.
    public = {name for name in metadata.signature_def if not name.startswith("__")}
    assert public == SIGNATURES[model]
    assert all(metadata.signature_def[name].method_name and metadata.signature_def[name].outputs for name in public)
    assert metadata == grpc_examples.metadata(Target(model))


@pytest.mark.parametrize(
    ("target", "states"),
    [(Target("plus"), {4: "AVAILABLE"}), (Target("plus", version=4), {4: "AVAILABLE"}),
     (Target("plus", label="any"), {4: "AVAILABLE"}), (Target("rated_tf2"), {1: "AVAILABLE"})],
    ids=str,
)  # fmt: skip
def test_status(examples: ExampleClient, target: Target, states: dict[int, str]) -> None:
    assert examples.status(target) == states


@pytest.mark.parametrize(
    ("verb", "target", "code", "status", "text"),
    [
        ("status", Target("no"), "NOT_FOUND", 404, "Could not find any versions of model no"),
        ("status", Target("plus", version=9), "NOT_FOUND", 404, "Could not find version 9 of model plus"),
        ("metadata", Target("no"), "NOT_FOUND", 404, "Servable not found for request: Latest(no)"),
        ("metadata", Target("plus", version=9), "NOT_FOUND", 404, "Servable not found for request: Specific(plus, 9)"),
        ("metadata", Target("plus", label="x"), "INVALID_ARGUMENT", 400, "Unrecognized servable version label: x"),
    ],
    ids=str,
)
def test_status_and_metadata_refusals(
    examples: ExampleClient, verb: str, target: Target, code: str, status: int, text: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        (examples.status if verb == "status" else examples.metadata)(target)
    assert caught.value.code == (status if examples.is_rest else code)
    assert text in caught.value.message
