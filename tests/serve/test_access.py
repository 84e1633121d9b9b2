"""A server with all access settings: TLS with client certificates, tokens, limits, JSON logs."""

import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import trustme

from tests.support.fronts import needs_ipv6
from tests.support.server import PATIENCE, RunningServer, running, starting, wait_until
from tests.support.slow_model import SECOND
from tests.support.tls import ssl_config
from tfx_export import wire
from tfx_export.client import Client, ServerError, calls

MAX_BODY = 1 << 20
MAX_REQUESTS = 2
MAX_SECONDS = 5.0
# Loops of the model: long enough that the server does not run it on its event loop.
SHORT_RUN = SECOND // 50


@dataclass
class Guarded:
    """The server, and the credentials that it accepts."""

    server: RunningServer
    ca: trustme.CA
    identity: trustme.LeafCert

    def credentials(self, *, with_certificate: bool = True) -> grpc.ChannelCredentials:
        root = self.ca.cert_pem.bytes()
        if with_certificate:
            key, chain = self.identity.private_key_pem.bytes(), self.identity.cert_chain_pems[0].bytes()
            return grpc.ssl_channel_credentials(root, key, chain)
        return grpc.ssl_channel_credentials(root)

    def client(self, token: str | None = "good", **options: Any) -> Client:
        return Client(self.server.grpc, credentials=self.credentials(**options), token=token, timeout=30)

    def logged(self, request_id: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.server.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("request_id") == request_id]


@pytest.fixture(scope="module")
def guarded(front: str, served_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1")
    (folder / "ssl.pbtxt").write_text(ssl_config(certificate, client_ca=ca))
    (folder / "tokens").write_text("good\n")
    client = ca.issue_cert("client@example.org")
    flags = (
        f"--model_base_path={served_models}/slow",
        "--model_name=slow",
        f"--front={front}",
        f"--ssl_config_file={folder}/ssl.pbtxt",
        f"--rest_ssl_config_file={folder}/ssl.pbtxt",
        f"--auth_token_file={folder}/tokens",
        f"--max_body_bytes={MAX_BODY}",
        f"--max_concurrent_requests={MAX_REQUESTS}",
        f"--max_request_seconds={MAX_SECONDS}",
        "--log_format=json",
        "--access_log",
    )
    with running(folder, *flags) as server:
        yield Guarded(server, ca, client)


def run(client: Client, loops: int = SHORT_RUN) -> dict[str, np.ndarray]:
    return client.predict("slow", {"loops": np.int32(loops)})


def code_of(client: Client, loops: int = SHORT_RUN) -> str:
    with client, pytest.raises(ServerError) as caught:
        run(client, loops)
    return caught.value.code


def test_a_client_with_certificate_and_token_is_answered(guarded: Guarded) -> None:
    with guarded.client() as client:
        assert run(client).keys() == {"total"}


@needs_ipv6
def test_both_ports_have_tls_on_ipv6_as_well(guarded: Guarded) -> None:
    trust = ssl.create_default_context()
    guarded.ca.configure_trust(trust)
    for address in (guarded.server.grpc, guarded.server.rest):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("::1", port)) as plain:
            trust.wrap_socket(plain, server_hostname="127.0.0.1").close()


def test_a_client_without_a_certificate_is_rejected(guarded: Guarded) -> None:
    assert code_of(guarded.client(with_certificate=False)) == "UNAVAILABLE"


def test_plain_text_is_rejected(guarded: Guarded) -> None:
    assert code_of(Client(guarded.server.grpc, token="good", timeout=30)) == "UNAVAILABLE"


@pytest.mark.parametrize("token", [None, "bad", "good2", ""])
def test_other_tokens_are_rejected(guarded: Guarded, token: str | None) -> None:
    assert code_of(guarded.client(token)) == "UNAUTHENTICATED"


def test_a_larger_body_is_rejected(guarded: Guarded) -> None:
    with guarded.client() as client, pytest.raises(ServerError, match="larger than max") as caught:
        client.predict("slow", {"loops": np.zeros(MAX_BODY, np.int32)})
    assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_a_request_over_the_limit_is_rejected_and_the_others_are_not(guarded: Guarded) -> None:
    call = calls.predict(calls.Model("slow"), {"loops": np.int32(3 * SECOND)})
    with grpc.secure_channel(guarded.server.grpc, guarded.credentials()) as channel, guarded.client() as client:
        send = channel.unary_unary(call.path, wire.PredictRequest.SerializeToString, wire.PredictResponse.FromString)
        futures = [
            send.future(call.request, metadata=[("authorization", "Bearer good")]) for _ in range(MAX_REQUESTS + 1)
        ]
        codes = [each.code().name for each in futures]
        assert codes.count("RESOURCE_EXHAUSTED") == 1
        # On a busy machine their deadline may pass, but they are not rejected.
        assert set(codes) <= {"RESOURCE_EXHAUSTED", "OK", "DEADLINE_EXCEEDED"}
        run(client)


@pytest.mark.parametrize(("given", "kept"), [("order-66", True), ("a" * 300, False)])
def test_the_request_id_is_returned_and_logged(guarded: Guarded, given: str, kept: bool) -> None:
    call = calls.predict(calls.Model("slow"), {"loops": np.int32(SHORT_RUN)})
    with grpc.secure_channel(guarded.server.grpc, guarded.credentials()) as channel:
        send = channel.unary_unary(call.path, wire.PredictRequest.SerializeToString, wire.PredictResponse.FromString)
        _, answered = send.with_call(
            call.request, metadata=[("authorization", "Bearer good"), ("x-request-id", given)], timeout=30
        )
    returned = dict(answered.trailing_metadata())["x-request-id"]
    assert (returned == given) == kept
    wait_until(lambda: bool(guarded.logged(returned)))
    (line,) = guarded.logged(returned)
    assert {key: line[key] for key in ("entrypoint", "api", "model", "version", "code", "level")} == {
        "entrypoint": "GRPC",
        "api": "Predict",
        "model": "slow",
        "version": 1,
        "code": "OK",
        "level": "info",
    }


def test_failures_are_logged_with_their_reason(guarded: Guarded) -> None:
    call = calls.predict(calls.Model("none"), {})
    with grpc.secure_channel(guarded.server.grpc, guarded.credentials()) as channel:
        send = channel.unary_unary(call.path, wire.PredictRequest.SerializeToString, wire.PredictResponse.FromString)
        with pytest.raises(grpc.RpcError):
            send(call.request, metadata=[("authorization", "Bearer good"), ("x-request-id", "lost")], timeout=30)
    wait_until(lambda: bool(guarded.logged("lost")))
    (line,) = guarded.logged("lost")
    assert line["code"] == "NOT_FOUND"
    assert "Servable not found" in line["message"]


def rest(
    guarded: Guarded, path: str, body: object = None, headers: dict[str, str] | None = None, *, certificate: bool = True
) -> tuple[int, dict[str, str], bytes]:
    """Returns status, headers and body of the response over HTTPS."""
    context = ssl.create_default_context(cadata=guarded.ca.cert_pem.bytes().decode())
    if certificate:
        guarded.identity.configure_cert(context)
    host, port = guarded.server.rest.removeprefix("https://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
    try:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("GET" if data is None else "POST", path, data, headers or {})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


GOOD = {"authorization": "Bearer good"}
RUN = {"instances": [1]}


class TestRest:
    def test_a_client_with_certificate_and_token_is_answered(self, guarded: Guarded) -> None:
        status, headers, body = rest(guarded, "/v1/models/slow:predict", {"inputs": SHORT_RUN}, GOOD)
        assert (status, json.loads(body).keys()) == (200, {"outputs"})
        assert len(headers["x-request-id"]) == 16

    def test_openapi_describes_the_token(self, guarded: Guarded) -> None:
        status, _, body = rest(guarded, "/openapi.json", headers=GOOD)
        document = json.loads(body)
        assert (status, document["security"]) == (200, [{"token": []}])
        assert document["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}

    def test_the_example_is_printed_with_the_options_for_tls_and_the_token(
        self, guarded: Guarded, tmp_path: Path
    ) -> None:
        guarded.identity.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
        (line,) = [line for line in guarded.server.log.read_text().splitlines() if line.startswith("try ")]
        command = f"{line.removeprefix('try ')} --cert {tmp_path}/client.pem"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout).keys() == {"outputs"}

    def test_a_client_without_a_certificate_is_rejected(self, guarded: Guarded) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            rest(guarded, "/healthz", certificate=False)

    @pytest.mark.parametrize("token", [None, "Bearer bad", "good", "Basic good"])
    @pytest.mark.parametrize("path", ["/v1/models/slow", "/v1/models", "/metrics", "/openapi.json", "/nowhere"])
    def test_other_tokens_are_rejected(self, guarded: Guarded, path: str, token: str | None) -> None:
        status, headers, body = rest(guarded, path, headers={"authorization": token} if token else {})
        assert status == 401
        assert headers["www-authenticate"] == "Bearer"
        assert "earer" in json.loads(body)["error"]

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_probes_need_no_token(self, guarded: Guarded, path: str) -> None:
        assert rest(guarded, path)[0] == 200

    def test_a_larger_body_is_rejected(self, guarded: Guarded) -> None:
        status, _, body = rest(guarded, "/v1/models/slow:predict", b" " * (MAX_BODY + 1), GOOD)
        assert status == 413
        assert "--max_body_bytes" in json.loads(body)["error"]

    def test_the_request_id_is_returned_and_logged(self, guarded: Guarded) -> None:
        status, headers, _ = rest(guarded, "/v1/models/slow:predict", RUN, {"x-request-id": "rest-66", **GOOD})
        assert (status, headers["x-request-id"]) == (400, "rest-66")
        wait_until(lambda: bool(guarded.logged("rest-66")))
        (line,) = guarded.logged("rest-66")
        assert (line["entrypoint"], line["api"], line["model"], line["code"]) == (
            "REST",
            "predict",
            "slow",
            "INVALID_ARGUMENT",
        )


# The last test, because the model continues to run after the client has given up.
def test_a_request_over_the_time_limit_fails(guarded: Guarded) -> None:
    with guarded.client() as client, pytest.raises(ServerError, match="no answer within 5 s") as caught:
        run(client, 100 * SECOND)
    assert caught.value.code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(
    ("flag", "content", "message"),
    [
        ("--ssl_config_file={}", "nonsense", "Error parsing text-format tensorflow.serving.SSLConfig"),
        ("--rest_ssl_config_file={}", "server_key: 'a' server_cert: 'b'", "is not valid PEM"),
        ("--auth_token_file={}", "", "holds no token"),
        ("--log_format=xml", "", "expected text or json"),
        ("--monitoring_config_file={}", "nonsense", "Error parsing text-format tensorflow.serving.MonitoringConfig"),
    ],
)
def test_a_bad_file_or_flag_fails_the_start(tmp_path: Path, flag: str, content: str, message: str) -> None:
    (tmp_path / "file").write_text(content)
    with starting(tmp_path, "--model_base_path=/nonexistent", flag.format(tmp_path / "file")) as (process, _, log):
        assert process.wait(PATIENCE) == 1
    assert message in log.read_text()
    assert "Traceback" not in log.read_text()
