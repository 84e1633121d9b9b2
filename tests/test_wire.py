"""Our messages have the same fields as those of the packages that clients have installed."""

import subprocess
import sys
from importlib import import_module

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor

from tfx_export import wire

pytest.importorskip("tensorflow_serving")
for module in (
    "apis.prediction_log_pb2",
    "apis.prediction_service_pb2",
    "apis.model_service_pb2",
    "config.model_server_config_pb2",
    "config.platform_config_pb2",
):
    import_module(f"tensorflow_serving.{module}")
for module in ("saved_model_pb2", "tensor_bundle_pb2"):
    import_module(f"tensorflow.core.protobuf.{module}")

# Omitted on purpose, or not in tensorflow-serving-api.
MISSING_HERE = {"tensorflow.serving.PredictionLog": {"session_run_log"}}
NOT_IN_STOCK = {
    "BatchingParameters",
    "MonitoringConfig",
    "ProfileRequest",
    "ProfileResponse",
    "PrometheusConfig",
    "SSLConfig",
}

MESSAGES = sorted(
    name
    for name, value in vars(wire).items()
    if getattr(value, "DESCRIPTOR", None)
    and value.DESCRIPTOR.full_name.startswith("tensorflow.")
    and name not in NOT_IN_STOCK
)


def fields(descriptor: Descriptor) -> dict[str, tuple[object, ...]]:
    return {
        field.name: (
            field.number,
            field.type,
            field.is_repeated,
            field.message_type.full_name if field.message_type else None,
            field.containing_oneof.name if field.containing_oneof else None,
        )
        for field in descriptor.fields
    }


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_has_the_fields_of_the_stock_package(name: str) -> None:
    ours = getattr(wire, name).DESCRIPTOR
    stock = descriptor_pool.Default().FindMessageTypeByName(ours.full_name)
    expected = fields(stock)
    for left_out in MISSING_HERE.get(ours.full_name, ()):
        del expected[left_out]
    assert fields(ours) == expected


def test_a_service_has_the_methods_of_the_stock_package() -> None:
    for name, rpcs in wire.SERVICES.items():
        if name.startswith("tensorflow."):
            stock = descriptor_pool.Default().FindServiceByName(name)
            assert {(rpc.name, rpc.request.DESCRIPTOR.full_name) for rpc in rpcs} == {
                (method.name, method.input_type.full_name) for method in stock.methods
            }


@pytest.mark.parametrize("first", ["tfx_export.wire", "tensorflow_serving.apis.prediction_service_pb2_grpc"])
def test_the_stock_package_and_ours_can_be_imported_together_in_either_order(first: str) -> None:
    names = ["tfx_export.wire", "tensorflow_serving.apis.prediction_service_pb2_grpc"]
    names.sort(key=lambda name: name != first)
    code = "\n".join(f"import {name}" for name in names)
    code += """
from tensorflow_serving.apis import predict_pb2
from tfx_export import wire
stock = predict_pb2.PredictRequest()
stock.model_spec.name = "mnist"
assert wire.PredictRequest.FromString(stock.SerializeToString()).model_spec.name == "mnist"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
