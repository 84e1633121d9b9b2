"""Envoy's configuration, as a pure function of the server's Config and its listeners."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from serve.config import Config
from serve.fronts import refusals
from serve.request.auth import Tls

Json: TypeAlias = dict[str, object]

_TYPE = "type.googleapis.com/envoy."
# How many bytes of a body Envoy buffers until the application reads them; beyond this it stops reading from the client.
_BUFFER_BYTES = 16 << 20
# --max_header_bytes limits the headers. Envoy's own limit on their number is 100, and has no value for "no limit".
_MAX_HEADERS = 1 << 15
# The names of the RBAC policies, each of which denies a kind of request.
_HOSTS_POLICY, _PATH_POLICY = "hosts", "path"
# Returned to the system each second: enough to follow version swaps, and few enough that mapping them again is cheap.
_RELEASED_BYTES = 64 << 20
# Unix sockets in the runtime folder: of the inner listener and of the admin interface.
INNER_SOCKET = "inner.sock"
ADMIN_SOCKET = "admin.sock"


@dataclass(frozen=True)
class Listener:
    """A listener: the protocol it was opened for, its addresses (`(host, port)` or a socket's path) and its TLS."""

    protocol: str
    addresses: tuple[tuple[str, int] | str, ...]
    tls: Tls | None = None

    @property
    def port(self) -> int:
        """The TCP port, which is the same for all addresses."""
        return next(address[1] for address in self.addresses if isinstance(address, tuple))


def bootstrap_config(listeners: Sequence[Listener], *, config: Config, app: str, module: str, runtime: Path) -> Json:
    """Returns the bootstrap configuration that serves `app` (`module:attribute`) behind `listeners`.

    If all listeners have the same TLS setting, one Envoy listener has all addresses. Otherwise each is an Envoy
    listener in front of a common inner one, because pyvoy starts an event loop for every listener that it answers, and
    the models are used from one loop only.
    """
    pyvoy = [_denied_requests(), _pyvoy(app, module)]
    if all(listener.tls == listeners[0].tls for listener in listeners):
        addresses = [address for listener in listeners for address in listener.addresses]
        return _resources(runtime, [_listener("listeners", addresses, _connections(config, pyvoy), listeners[0].tls)])
    # The outer listeners close idle connections; theirs to the inner one stay open.
    inner_connections = _connections(replace(config, keep_alive_seconds=0), pyvoy)
    inner = _listener("inner", [str(runtime / INNER_SOCKET)], inner_connections, None)
    # The inner listener stays open while the outer ones drain, to answer the requests they still forward.
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
        # Without this, Envoy's allocator keeps the memory of an unloaded version.
        "memory_allocator_manager": {"bytes_to_release": _RELEASED_BYTES, "memory_release_interval": "1s"},
        # The compiled pattern of UTF8_PATH exceeds Envoy's default limit.
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
    # As for other servers, :: is every interface, with IPv4.
    return {"socket_address": {"address": host, "port_value": port, "ipv4_compat": host == "::"}}


def _connections(config: Config, filters: list[Json], routes: Sequence[Json] = ()) -> Json:
    """Returns the HTTP connection manager. The application, not Envoy, limits long calls and idle streams."""
    return _network_filter(
        "http_connection_manager",
        {
            "stat_prefix": "listeners" if not routes else "outer",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list(routes)}]},
            "http_filters": filters,
            "local_reply_config": _error_responses(config),
            "generate_request_id": False,
            "server_header_transformation": "PASS_THROUGH",
            "stream_idle_timeout": "0s",
            "drain_timeout": "0.2s",
            "max_request_headers_kb": min(8192, math.ceil(config.max_header_bytes / 1024) or 8192),
            "request_headers_timeout": _seconds(config.max_idle_seconds),
            "request_timeout": _seconds(config.max_request_seconds),
            # gRPC clients keep an idle connection for later use, and open another if it is closed.
            "common_http_protocol_options": {
                "idle_timeout": _seconds(config.keep_alive_seconds),
                "max_headers_count": _MAX_HEADERS,
            },
            "http_protocol_options": {
                "accept_http_10": True,
                "default_host_for_http_10": "localhost",
                # An upgrade, as to WebSocket, is optional for the server: the request is answered as HTTP/1.1.
                "ignore_http_11_upgrade": [{"safe_regex": {"regex": ".*"}}],
            },
            "http2_protocol_options": {"max_concurrent_streams": 2**20},
        },
    )


def _seconds(value: float) -> str:
    """Returns a duration in Envoy's form. 0 means no limit, in our flags as in Envoy."""
    return f"{value:.3f}s"


def _routes(listener: Listener) -> list[Json]:
    """Returns the routes to the inner listener.

    A listener that was not opened for gRPC rejects gRPC, because its TLS setting is not the one chosen for gRPC.
    """
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
    # The worker sets the event loop policy, so asyncio gives pyvoy our Loop.
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


def _denied_requests() -> Json:
    """Returns the filter that rejects what Envoy itself accepts: two Host headers, which it joins with a comma, and
    paths that are not percent-encoded UTF-8, which pyvoy 1.3 would never answer.
    """
    hosts = {"header": {"name": ":authority", "string_match": {"contains": ","}}}
    path = {"not_rule": {"url_path": {"path": {"safe_regex": {"regex": refusals.UTF8_PATH}}}}}
    policies = {
        name: {"permissions": [permission], "principals": [{"any": True}]}
        for name, permission in ((_HOSTS_POLICY, hosts), (_PATH_POLICY, path))
    }
    return _filter("rbac", "rbac.v3.RBAC", rules={"action": "DENY", "policies": policies})


def _error_responses(config: Config) -> Json:
    """Returns the form of Envoy's own error responses: that of the REST API, with the texts of the Python front.

    The keys of the table are Envoy's details of a response, which are constants in its source.
    """
    texts = {
        "missing_host_header": (400, refusals.NO_HOST),
        "http.invalid_authority": (400, refusals.INVALID_HOST),
        "path_normalization_failed": (400, refusals.FRAGMENT),
        "absolute_path_rejected": (400, refusals.INVALID_HTTP),
        f"rbac_access_denied_matched_policy[{_HOSTS_POLICY}]": (400, refusals.TWO_HOSTS),
        f"rbac_access_denied_matched_policy[{_PATH_POLICY}]": (400, refusals.PATH_NOT_UTF8),
        "request_header_timeout": (408, refusals.headers_too_slow(config.max_idle_seconds)),
        "http1.headers_too_large": (431, refusals.headers_too_large(config.max_header_bytes)),
        "http1.too_many_headers": (431, refusals.TOO_MANY_HEADERS),
        "http1.invalid_transfer_encoding": (501, refusals.TRANSFER_ENCODING),
    }
    mappers = [_mapper(f"response.code_details == '{details}'", *response) for details, response in texts.items()]
    mappers.append(
        _mapper("response.code == 400 && response.code_details.startsWith('http')", 400, refusals.INVALID_HTTP)
    )
    return {"mappers": mappers, "body_format": {"json_format": {"error": "%LOCAL_REPLY_BODY%"}}}


def _mapper(condition: str, status: int, text: str) -> Json:
    """Returns the rule that gives Envoy's own responses for which `condition` (in CEL) holds a status and a text."""
    cel = "envoy.access_loggers.extension_filters.cel"
    config = {"@type": _TYPE + "extensions.access_loggers.filters.cel.v3.ExpressionFilter", "expression": condition}
    return {
        "filter": {"extension_filter": {"name": cel, "typed_config": config}},
        "status_code": status,
        "body": {"inline_string": text},
    }


def _filter(name: str, message: str, **settings: object) -> Json:
    return {"name": name, "typed_config": {"@type": _TYPE + f"extensions.filters.http.{message}", **settings}}


def _network_filter(name: str, settings: Json) -> Json:
    message = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {"name": f"envoy.filters.network.{name}", "typed_config": {"@type": _TYPE + message, **settings}}


def _tls(tls: Tls) -> Json:
    """Returns the transport socket of a listener with TLS."""
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
