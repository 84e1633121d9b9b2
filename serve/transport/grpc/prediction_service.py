"""tensorflow.serving.PredictionService."""

import sys

from serve.api import Api, predict_signature
from serve.codec.tensor import decode_all, encode
from serve.config import Config
from serve.transport.grpc.method import CallContext, Handler
from serve.transport.grpc.model_spec import echo, model_ref
from tfx_export import wire

SERVICE = "tensorflow.serving.PredictionService"


def handlers(api: Api, config: Config) -> dict[str, Handler]:
    max_elements = config.max_tensor_elements or sys.maxsize
    as_content = config.enable_serialization_as_tensor_content

    async def predict(request: wire.Message, context: CallContext) -> wire.Message:
        spec = request.model_spec
        with api.lease(model_ref(spec)) as lease:
            signature = predict_signature(lease, spec.signature_name)
            # Defaults are gRPC's only: REST knows none, here as upstream.
            inputs = decode_all({**signature.defaults, **request.inputs}, max_elements=max_elements)
            outputs = await api.predict(lease, spec.signature_name, inputs, request.output_filter)
            response = wire.PredictResponse()
            echo(response.model_spec, lease, spec.signature_name)
            for name, array in outputs.items():
                response.outputs[name].CopyFrom(
                    encode(array, as_content=as_content, dtype=signature.outputs[name].dtype)
                )
            return response

    return {f"/{SERVICE}/Predict": predict}
