"""tensorflow.serving.ModelService."""

from serve import metrics
from serve.api import Api
from serve.transport.grpc.method import CallContext, Handler
from serve.transport.grpc.model_spec import model_ref, spec_of
from tfx_export import wire

SERVICE = "tensorflow.serving.ModelService"


def handlers(api: Api) -> dict[str, Handler]:
    async def get_model_status(
        request: wire.GetModelStatusRequest, context: CallContext
    ) -> wire.GetModelStatusResponse:
        response = wire.GetModelStatusResponse()
        for status in await api.status(model_ref(spec_of(request))):
            version = response.model_version_status.add(version=status.version, state=status.state)
            version.status.error_code = status.code
            version.status.error_message = status.message
        return response

    async def handle_reload_config_request(
        request: wire.ReloadConfigRequest, context: CallContext
    ) -> wire.ReloadConfigResponse:
        # Metrics are collected from other processes only if the request names metrics.
        before = await api.metrics() if request.metric_names else {}
        await api.reload(request.config)
        after = await api.metrics() if request.metric_names else {}
        response = wire.ReloadConfigResponse()
        response.status.SetInParent()
        for name in dict.fromkeys(request.metric_names):
            increase = metrics.first_value(after, name) - metrics.first_value(before, name)
            response.metric.add(name=name, int64_value_increase=increase)
        return response

    return {
        f"/{SERVICE}/GetModelStatus": get_model_status,
        f"/{SERVICE}/HandleReloadConfigRequest": handle_reload_config_request,
    }
