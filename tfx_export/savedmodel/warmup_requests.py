"""The file with the warmup requests of a SavedModel, and the renames that keep them valid after an edit.

TensorFlow Serving replays `assets.extra/tf_serving_warmup_requests` when it loads a model, and refuses the model if a
request fails. So requests to a renamed signature are renamed, and requests to a removed signature are removed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from tfx_export import wire
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"

# Changes one request, given the ModelSpec that names its signature, and the request.
_Change = Callable[[wire.ModelSpec, wire.LoggedRequest], None]


class RequestRenames:
    """The renames of an edit, in order, to be applied to warmup requests."""

    def __init__(self) -> None:
        self._changes: list[tuple[str, _Change]] = []

    def rename_signature(self, old: str, new: str) -> None:
        def change(spec: wire.ModelSpec, _: wire.LoggedRequest) -> None:
            spec.signature_name = new

        self._changes.append((old, change))

    def rename_input(self, signature: str, old: str, new: str) -> None:
        def change(_: wire.ModelSpec, request: wire.LoggedRequest) -> None:
            if isinstance(request, wire.PredictRequest) and old in request.inputs:
                request.inputs[new].CopyFrom(request.inputs[old])
                del request.inputs[old]

        self._changes.append((signature, change))

    def rename_output(self, signature: str, old: str, new: str) -> None:
        def change(_: wire.ModelSpec, request: wire.LoggedRequest) -> None:
            if isinstance(request, wire.PredictRequest):
                request.output_filter[:] = [new if name == old else name for name in request.output_filter]

        self._changes.append((signature, change))

    def apply(self, records: Iterable[bytes], signatures: Mapping[str, Signature]) -> Iterator[bytes]:
        """Yields the serialized PredictionLogs `records` with the new names; omits those that fit no signature."""
        for record in records:
            log = wire.PredictionLog.FromString(record)
            parts = list(_parts(log))
            for spec, request in parts:
                for name, change in self._changes:
                    if _name(spec) == name:
                        change(spec, request)
            if all(_fits(request, signatures.get(_name(spec))) for spec, request in parts):
                yield log.SerializeToString()


def _parts(log: wire.PredictionLog) -> Iterator[tuple[wire.ModelSpec, wire.LoggedRequest]]:
    kind = log.WhichOneof("log_type")
    if kind is None:
        return
    request = getattr(log, kind).request
    if kind == "multi_inference_log":
        for task in request.tasks:
            yield task.model_spec, request
    else:
        yield request.model_spec, request


def _name(spec: wire.ModelSpec) -> str:
    return spec.signature_name or DEFAULT_SIGNATURE


def _fits(request: wire.LoggedRequest, signature: Signature | None) -> bool:
    if signature is None:
        return False
    if not isinstance(request, wire.PredictRequest):
        return not signature.method.endswith("/predict")
    required = set(signature.inputs) - set(signature.defaults)
    return required <= set(request.inputs) <= set(signature.inputs) and set(request.output_filter) <= set(
        signature.outputs
    )
