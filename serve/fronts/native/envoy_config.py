"""Envoy's configuration: a pure function of what the operator chose."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from serve.config import Config
from serve.request.auth import Tls

Json: TypeAlias = dict[str, Any]

_TYPE = "type.googleapis.com/envoy."
# How much of a body Envoy holds for an application that has not read it yet; beyond it the client is slowed down.
_BUFFER_BYTES = 16 << 20
# A connection may be quiet so many times longer than a request may stall.
_QUIET = 10
_HEX = "[0-9A-Fa-f]"
_NEXT = "%[89ABab]" + _HEX
_UTF8_PATH = "|".join(
    (
        f"([!-$&-~]|%[0-7]{_HEX}",
        f"%[Cc][2-9A-Fa-f]{_NEXT}|%[Dd]{_HEX}{_NEXT}",
        f"%[Ee]0%[ABab]{_HEX}{_NEXT}|%[Ee][1-9A-Ca-cEeFf]{_NEXT}{_NEXT}|%[Ee][Dd]%[89]{_HEX}{_NEXT}",
        f"%[Ff]0%[9ABab]{_HEX}{_NEXT}{_NEXT}|%[Ff][1-3]{_NEXT}{_NEXT}{_NEXT}|%[Ff]4%8{_HEX}{_NEXT}{_NEXT})*",
    )
)
# What Envoy answers by itself looks like an answer of the REST API; a path it does not let through is malformed.
_ERRORS = {
    "mappers": [
        {
            "filter": {
                "status_code_filter": {"comparison": {"value": {"default_value": 403, "runtime_key": "unused"}}}
            },
            "status_code": 400,
            "body": {"inline_string": "Malformed request: the path is no percent-encoded UTF-8"},
        }
    ],
    "body_format": {"json_format": {"error": "%LOCAL_REPLY_BODY%"}},
}
# Given back to the system each second: enough to follow swaps, so few that faulting them in again costs nothing.
_RELEASED_BYTES = 64 << 20
# The inner listener's socket, the admin interface's socket: files of the runtime folder.
INNER_SOCKET = "inner.sock"
ADMIN_SOCKET = "admin.sock"


@dataclass(frozen=True)
class Listener:
    """One way in: the protocol it was opened for, its addresses (`(host, port)` or a socket's path), and its TLS."""

    protocol: str
    addresses: tuple[tuple[str, int] | str, ...]
    tls: Tls | None = None

    @property
    def port(self) -> int:
        """The TCP port, the same for all addresses."""
        return next(address[1] for address in self.addresses if isinstance(address, tuple))


def bootstrap_config(listeners: Sequence[Listener], *, config: Config, app: str, module: str, runtime: Path) -> Json:
    """The configuration for `app` (`module:attribute`) behind `listeners`.

    One TLS setting for all: one Envoy listener with all addresses. Several: a listener each, in front of an inner
    one, because pyvoy gives every listener an event loop of its own and the models live in one.
    """
    pyvoy = [_readable_paths(), _pyvoy(app, module)]
    if all(listener.tls == listeners[0].tls for listener in listeners):
        addresses = [address for listener in listeners for address in listener.addresses]
        return _resources(runtime, [_listener("listeners", addresses, _connections(config, pyvoy), listeners[0].tls)])
    inner = _listener("inner", [str(runtime / INNER_SOCKET)], _connections(config, pyvoy), None)
    # It stays open while the outer ones drain, and answers what they still let through.
    inner |= {"traffic_direction": "UNSPECIFIED", "drain_type": "MODIFY_ONLY"}
    outer = [
        _listener(
            f"{listener.protocol}_{number}",
            listener.addresses,
            _connections(config, [_filter("router", "router.v3.Router")], _routes(listener)),
            listener.tls,
        )
        for number, listener in enumerate(listeners)
    ]
    return _resources(runtime, [inner, *outer], [_inner_cluster(runtime)])


def _resources(runtime: Path, listeners: list[Json], clusters: Sequence[Json] = ()) -> Json:
    return {
        "admin": {"address": _address(str(runtime / ADMIN_SOCKET))},
        # Envoy's allocator keeps what an unloaded version held unless it is told to give it back.
        "memory_allocator_manager": {"bytes_to_release": _RELEASED_BYTES, "memory_release_interval": "1s"},
        # The pattern of paths is larger than Envoy lets one be by default.
        "layered_runtime": {"layers": [{"name": "ours", "static_layer": {"re2.max_program_size.error_level": 500}}]},
        "static_resources": {"listeners": listeners, "clusters": list(clusters)},
    }


def _listener(name: str, addresses: Sequence[tuple[str, int] | str], connections: Json, tls: Tls | None) -> Json:
    chain: Json = {"filters": [connections]}
    if tls is not None:
        chain["transport_socket"] = _tls(tls)
    first, *others = map(_address, addresses)
    return {
        "name": name,
        "address": first,
        "additional_addresses": [{"address": address} for address in others],
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [chain],
        "traffic_direction": "INBOUND",
    }


def _address(address: tuple[str, int] | str) -> Json:
    if isinstance(address, str):
        return {"pipe": {"path": address}}
    host, port = address
    return {"socket_address": {"address": host, "port_value": port}}


def _connections(config: Config, filters: list[Json], routes: Sequence[Json] = ()) -> Json:
    """The HTTP connection manager. Long calls and quiet streams are the application's business, not Envoy's."""
    return _network_filter(
        "http_connection_manager",
        {
            "stat_prefix": "listeners" if not routes else "outer",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list(routes)}]},
            "http_filters": filters,
            "local_reply_config": _ERRORS,
            "generate_request_id": False,
            "server_header_transformation": "PASS_THROUGH",
            "stream_idle_timeout": "0s",
            "drain_timeout": "0.2s",
            "max_request_headers_kb": min(8192, math.ceil(config.max_header_bytes / 1024) or 8192),
            "request_headers_timeout": _seconds(config.max_idle_seconds),
            "request_timeout": _seconds(config.max_request_seconds),
            # gRPC clients keep a quiet connection for later; when it is closed they open another.
            "common_http_protocol_options": {"idle_timeout": _seconds(_QUIET * config.max_idle_seconds)},
            "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "localhost"},
            "http2_protocol_options": {"max_concurrent_streams": 2**20},
        },
    )


def _seconds(value: float) -> str:
    """A duration; 0 lifts the limit, here as in Envoy."""
    return f"{value:.3f}s"


def _routes(listener: Listener) -> list[Json]:
    """To the inner listener. A listener that was not opened for gRPC lets none through: its TLS setting is another."""
    forward: Json = {"match": {"prefix": "/"}, "route": {"cluster": "inner", "timeout": "0s"}}
    if listener.protocol == "grpc":
        return [forward]
    refusal = {"status": 404, "body": {"inline_string": "gRPC is not answered on this port."}}
    return [{"match": {"prefix": "/", "grpc": {}}, "direct_response": refusal}, forward]


def _inner_cluster(runtime: Path) -> Json:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 2**20)
    protocol = {
        "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": _address(str(runtime / INNER_SOCKET))}}
    return {
        "name": "inner",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol},
        "load_assignment": {"cluster_name": "inner", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _pyvoy(app: str, module: str) -> Json:
    # The worker sets what asyncio's loop is.
    setting = {"app": app, "interface": "asgi", "root_path": "", "lifespan": True, "loop": "asyncio"}
    value = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(setting)}
    return _filter(
        "pyvoy",
        "dynamic_modules.v3.DynamicModuleFilter",
        dynamic_module_config={"module": {"local": {"filename": module}}},
        filter_name="pyvoy",
        terminal_filter=True,
        filter_config=value,
    )


def _readable_paths() -> Json:
    """Refuses paths that are no percent-encoded UTF-8: pyvoy 1.3 would never answer them."""
    path = {"safe_regex": {"regex": _UTF8_PATH}}
    readable = {"permissions": [{"url_path": {"path": path}}], "principals": [{"any": True}]}
    return _filter("rbac", "rbac.v3.RBAC", rules={"action": "ALLOW", "policies": {"readable path": readable}})


def _filter(name: str, message: str, **settings: Any) -> Json:
    return {"name": name, "typed_config": {"@type": _TYPE + f"extensions.filters.http.{message}", **settings}}


def _network_filter(name: str, settings: Json) -> Json:
    message = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {"name": f"envoy.filters.network.{name}", "typed_config": {"@type": _TYPE + message, **settings}}


def _tls(tls: Tls) -> Json:
    """The transport of a listener with TLS, from the same file that upstream's --ssl_config_file names."""
    common: Json = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificates": [
            {
                "private_key": {"inline_string": tls.server_key.decode()},
                "certificate_chain": {"inline_string": tls.server_cert.decode()},
            }
        ],
    }
    if tls.custom_ca:
        common["validation_context"] = {"trusted_ca": {"inline_string": tls.custom_ca.decode()}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": _TYPE + "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": common,
            "require_client_certificate": tls.client_verify,
        },
    }
