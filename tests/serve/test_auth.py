"""Valid and invalid TLS configurations and token files."""

import os
import ssl
from pathlib import Path

import pytest
import trustme

from serve.errors import Code, ServeError
from serve.request.auth import Tls, Tokens
from tests.support.tls import ssl_config


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "ssl.pbtxt"
    path.write_text(text)
    return str(path)


class TestTls:
    def test_the_file_contains_the_pems(self, tmp_path: Path, ca: trustme.CA) -> None:
        tls = Tls.read(written(tmp_path, ssl_config(ca.issue_cert("localhost"))))
        assert tls.context().verify_mode is ssl.CERT_NONE

    def test_clients_are_verified_against_the_ca_in_the_file(self, tmp_path: Path, ca: trustme.CA) -> None:
        tls = Tls.read(written(tmp_path, ssl_config(ca.issue_cert("localhost"), client_ca=ca)))
        context = tls.context()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert len(context.get_ca_certs()) == 1

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("server_key: 3", "Error parsing text-format tensorflow.serving.SSLConfig"),
            ("server_kei: 'x'", "Error parsing text-format tensorflow.serving.SSLConfig"),
            ("", "server_key and server_cert are both needed"),
            ("server_key: '/etc/key.pem' server_cert: '/etc/cert.pem'", "is not valid PEM"),
        ],
    )
    def test_an_invalid_file_fails_the_start(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(ServeError, match=message) as caught:
            Tls.read(written(tmp_path, text))
        assert caught.value.code is Code.INVALID_ARGUMENT

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ServeError, match="No such file"):
            Tls.read(str(tmp_path / "none"))

    def test_key_of_another_certificate(self, tmp_path: Path, ca: trustme.CA) -> None:
        one, other = ca.issue_cert("localhost"), ca.issue_cert("localhost")
        text = ssl_config(one).replace(
            one.private_key_pem.bytes().decode().replace("\n", r"\n"),
            other.private_key_pem.bytes().decode().replace("\n", r"\n"),
        )
        with pytest.raises(ServeError, match="do not fit together"):
            Tls.read(written(tmp_path, text))

    def test_the_key_does_not_stay_on_disk(
        self, tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        Tls.read(written(tmp_path, ssl_config(ca.issue_cert("localhost"))))
        assert list(folder.iterdir()) == []


class TestTokens:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "tokens"
        path.write_text("# of the batch job\nfirst-token\n\nsecond-token\n")
        return path

    @pytest.mark.parametrize("header", ["Bearer first-token", "bearer second-token", "BEARER  first-token "])
    def test_valid_token(self, path: Path, header: str) -> None:
        Tokens(str(path)).check(header)

    @pytest.mark.parametrize(
        "header",
        [None, "", "first-token", "Basic first-token", "Bearer", "Bearer ", "Bearer first", "Bearer # of the batch job",
         "Bearer first-token\u20ac"],
    )  # fmt: skip
    def test_invalid_token(self, path: Path, header: str | None) -> None:
        with pytest.raises(ServeError) as caught:
            Tokens(str(path)).check(header)
        assert caught.value.code is Code.UNAUTHENTICATED
        assert "first-token" not in caught.value.message

    def test_a_changed_file_applies_at_once(self, path: Path) -> None:
        tokens = Tokens(str(path))
        path.write_text("third\n")
        os.utime(path, (1, 1))
        tokens.check("Bearer third")
        with pytest.raises(ServeError):
            tokens.check("Bearer first-token")

    def test_tokens_of_a_removed_file_stay_valid(self, path: Path) -> None:
        tokens = Tokens(str(path))
        path.unlink()
        tokens.check("Bearer first-token")

    @pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n"])
    def test_a_file_without_tokens_fails_the_start(self, path: Path, text: str) -> None:
        path.write_text(text)
        with pytest.raises(ServeError, match="holds no token"):
            Tokens(str(path))

    def test_a_missing_file_fails_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(ServeError, match="No such file"):
            Tokens(str(tmp_path / "none"))
