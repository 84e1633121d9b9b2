"""tensorflow.ProfilerService: lets TensorFlow's profiler client capture a trace of the running server."""

import asyncio
import sys
from importlib import import_module
from pathlib import Path

from serve.errors import Code, ServeError
from serve.transport.grpc.method import CallContext, Method
from tfx_export import wire

SERVICE = "tensorflow.ProfilerService"


def methods() -> dict[str, Method]:
    rpc = wire.Rpc("Profile", wire.ProfileRequest, wire.ProfileResponse)
    return {f"/{SERVICE}/Profile": Method(rpc, _profile)}


async def _profile(request: wire.ProfileRequest, context: CallContext) -> wire.ProfileResponse:
    """Traces for `duration_ms` and writes the XSpace where the client looks for it: on this machine, like upstream."""
    if "tensorflow" not in sys.modules:
        raise ServeError(Code.UNIMPLEMENTED, "No model here runs on TensorFlow: there is nothing to trace")
    session, host = request.session_id, request.host_name.replace(":", "_")
    if not request.repository_root or Path(session).name != session or Path(host).name != host:
        raise ServeError(Code.INVALID_ARGUMENT, "repository_root, session_id and host_name must name a file")
    capture = import_module("serve.engines.tensorflow_profiler").capture
    trace: bytes = await asyncio.to_thread(capture, request.duration_ms / 1e3)
    try:
        await asyncio.to_thread(_write, Path(request.repository_root, session, f"{host}.xplane.pb"), trace)
    except OSError as error:
        raise ServeError(Code.PERMISSION_DENIED, f"The trace cannot be written: {error}") from None
    return wire.ProfileResponse(empty_trace=not trace)


def _write(file: Path, trace: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(trace)
