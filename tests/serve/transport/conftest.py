"""The echo application behind Envoy, on every kind of listener, shared by the tests of gRPC over ASGI."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from multiprocessing import Pipe

import grpc
import pytest
import trustme

from serve.config import ANY_PORT, Config
from serve.request.auth import Tls

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]
Connect = Callable[[], grpc.Channel]


@pytest.fixture(scope="session")
def tls() -> Tls:
    """TLS with client certificates. The server's certificate is also the client's."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    return Tls(certificate.private_key_pem.bytes(), chain, authority.cert_pem.bytes(), client_verify=True)


@pytest.fixture(scope="session")
def echo_listeners(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[dict[str, Connect]]:
    """Two Envoys: one with a single TLS setting, and one with several, which needs an inner listener."""
    if sys.version_info < (3, 11):
        pytest.skip("pyvoy needs Python 3.11")
    from serve.fronts.native import embedded_python
    from serve.fronts.native.envoy import Envoy
    from serve.fronts.native.envoy_config import Listener, bootstrap_config
    from serve.fronts.ports import Ports

    if reason := embedded_python.why_unavailable():
        pytest.skip(reason)
    ports = Ports()

    def take() -> tuple[tuple[str, int], ...]:
        return ports.reserve("gRPC", "127.0.0.1", ANY_PORT, "--port")

    direct, mixed = tmp_path_factory.mktemp("direct"), tmp_path_factory.mktemp("mixed")
    tcp, secured = take(), take()
    sockets = str(direct / "grpc.sock"), str(mixed / "grpc.sock")
    listeners = {
        direct: [Listener("grpc", (*tcp, sockets[0]))],
        mixed: [Listener("grpc", secured, tls), Listener("grpc", (sockets[1],))],
    }
    with asyncio.Runner() as runner:
        running = []
        for runtime, each in listeners.items():
            configuration = bootstrap_config(
                each,
                config=Config(),
                app="tests.serve.transport.echo_app:app",
                module=embedded_python.envoy_module(),
                runtime=runtime,
            )
            running.append(runner.run(Envoy.start(configuration, Pipe()[1], runtime)))
        try:
            for envoy in running:
                runner.run(envoy.wait_open())
            credentials = grpc.ssl_channel_credentials(tls.custom_ca, tls.server_key, tls.server_cert)
            yield {
                "tcp": lambda: grpc.insecure_channel(f"127.0.0.1:{tcp[0][1]}", OPTIONS),
                "unix": lambda: grpc.insecure_channel(f"unix:{sockets[0]}", OPTIONS),
                "tls": lambda: grpc.secure_channel(f"127.0.0.1:{secured[0][1]}", credentials, OPTIONS),
                "unix next to tls": lambda: grpc.insecure_channel(f"unix:{sockets[1]}", OPTIONS),
                "tls without certificate": lambda: grpc.secure_channel(
                    f"127.0.0.1:{secured[0][1]}",
                    grpc.ssl_channel_credentials(tls.custom_ca),
                    OPTIONS,
                ),
            }
        finally:
            for envoy in running:
                runner.run(envoy.stop())
            ports.close()


@pytest.fixture(params=["tcp", "unix", "tls", "unix next to tls"])
def channel(request: pytest.FixtureRequest, echo_listeners: dict[str, Connect]) -> Iterator[grpc.Channel]:
    """A client's channel to each kind of listener."""
    with echo_listeners[request.param]() as channel:
        yield channel
