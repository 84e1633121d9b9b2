"""Classify, Regress and MultiInference, called with the stubs of tensorflow-serving-api."""

from typing import Any

import grpc
import pytest

pytest.importorskip("tensorflow_serving.apis")
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    regression_pb2,
)

EXAMPLES = """
example_list {
  examples { features { feature { key: "word" value { bytes_list { value: "banana" } } } } }
  examples { features { feature { key: "word" value { bytes_list { value: "cherry" } } }
                        feature { key: "times" value { float_list { value: 2 } } } } }
}
"""
CONTEXT = """
example_list_with_context {
  context { features { feature { key: "word" value { bytes_list { value: "banana" } } }
                       feature { key: "times" value { float_list { value: 5 } } } } }
  examples { }
  examples { features { feature { key: "times" value { float_list { value: 7 } } } } }
}
"""


@pytest.mark.parametrize(("input_text", "prices"), [(EXAMPLES, [2.0, 6.0]), (CONTEXT, [10.0, 14.0])])
def test_classify_and_regress(predictions: Any, input_text: str, prices: list[float]) -> None:
    classify = classification_pb2.ClassificationRequest()
    text_format.Parse(f'model_spec {{ name: "words" signature_name: "classify" }} input {{ {input_text} }}', classify)
    answer = predictions.Classify(classify)
    assert [[(each.label, each.score) for each in row.classes] for row in answer.result.classifications] == [
        [("dear", price), ("cheap", 1 - price)] for price in prices
    ]
    assert (answer.model_spec.name, answer.model_spec.signature_name) == ("words", "classify")
    regress = regression_pb2.RegressionRequest()
    text_format.Parse(f'model_spec {{ name: "words" signature_name: "regress" }} input {{ {input_text} }}', regress)
    assert [each.value for each in predictions.Regress(regress).result.regressions] == prices


TASK = 'tasks {{ model_spec {{ name: "{}" signature_name: "{}" }} method_name: "tensorflow/serving/{}" }}'


def test_multi_inference(predictions: Any) -> None:
    request = inference_pb2.MultiInferenceRequest()
    tasks = TASK.format("words", "regress", "regress") + TASK.format("words", "classify", "classify")
    text_format.Parse(f"{tasks} input {{ {EXAMPLES} }}", request)
    regress, classify = predictions.MultiInference(request).results
    assert [each.value for each in regress.regression_result.regressions] == [2.0, 6.0]
    assert classify.classification_result.classifications[1].classes[0].score == 6.0
    assert (classify.model_spec.name, classify.model_spec.signature_name) == ("words", "classify")
    assert classify.model_spec.version.value == 1


@pytest.mark.parametrize(
    ("method", "text", "code", "message"),
    [
        ("Classify", 'name: "words"', "INVALID_ARGUMENT", "Input is empty."),
        (
            "Classify",
            'name: "words" signature_name: "x"',
            "INVALID_ARGUMENT",
            "No signature was found with the name: x",
        ),
        ("Classify", 'name: "words"', "INVALID_ARGUMENT", "Expected one or two output Tensors, found 3"),
        ("Classify", 'name: "plus"', "INVALID_ARGUMENT", "No classification inputs found in SignatureDef: "),
        (
            "Classify",
            'name: "words" signature_name: "regress"',
            "INVALID_ARGUMENT",
            "Expected classification signature outputs to contain at least one of",
        ),
        ("Regress", 'name: "words"', "INVALID_ARGUMENT", "Expected one output Tensor."),
        ("Regress", 'name: "plus"', "INVALID_ARGUMENT", "No regression inputs found in SignatureDef: "),
        ("Regress", 'name: "nope"', "NOT_FOUND", "Servable not found for request: Latest(nope)"),
    ],
)
def test_classify_and_regress_reject(predictions: Any, method: str, text: str, code: str, message: str) -> None:
    requests = {"Classify": classification_pb2.ClassificationRequest, "Regress": regression_pb2.RegressionRequest}
    request = requests[method]()
    given = "" if message == "Input is empty." else f"input {{ {EXAMPLES} }}"
    text_format.Parse(f"model_spec {{ {text} }} {given}", request)
    with pytest.raises(grpc.RpcError) as caught:
        getattr(predictions, method)(request)
    assert caught.value.code().name == code
    assert message in caught.value.details()


@pytest.mark.parametrize(
    ("tasks", "code", "message"),
    [
        ("", "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            TASK.format("words", "regress", "regress") + TASK.format("plus", "", "regress"),
            "INVALID_ARGUMENT",
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        (
            TASK.format("words", "regress", "regress") * 2,
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: regress",
        ),
        (TASK.format("words", "x", "regress"), "INVALID_ARGUMENT", "Requested signature not found in model graph: x"),
        (TASK.format("words", "regress", "predict"), "UNIMPLEMENTED", "Unsupported signature method_name: "),
    ],
)
def test_multi_inference_rejects(predictions: Any, tasks: str, code: str, message: str) -> None:
    request = inference_pb2.MultiInferenceRequest()
    text_format.Parse(f"{tasks} input {{ {EXAMPLES} }}", request)
    with pytest.raises(grpc.RpcError) as caught:
        predictions.MultiInference(request)
    assert caught.value.code().name == code
    assert message in caught.value.details()
