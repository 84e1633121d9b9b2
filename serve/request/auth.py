"""Tls and Tokens: who may connect to the server (TLS on both ports) and call it (bearer tokens in both protocols)."""

import hmac
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from serve.errors import Code, ServeError

SCHEME = "bearer "


@dataclass(frozen=True)
class Tls:
    """The server's key and certificate chain, its clients' CA, and whether clients need a certificate. All PEM."""

    server_key: bytes
    server_cert: bytes
    custom_ca: bytes = b""
    client_verify: bool = False

    @classmethod
    def read(cls, path: str) -> "Tls":
        """Reads an SSLConfig in text format, with the PEM texts inside. Raises INVALID_ARGUMENT if it is not valid."""
        from google.protobuf import text_format

        from tfx_export import wire

        try:
            config = wire.parse_text(wire.SSLConfig, Path(path).read_bytes())
        except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
            raise ServeError(
                Code.INVALID_ARGUMENT, f"Error parsing text-format tensorflow.serving.SSLConfig: {path}: {error}"
            ) from None
        tls = cls(
            config.server_key.encode(), config.server_cert.encode(), config.custom_ca.encode(), config.client_verify
        )
        tls.context(path)  # a key that does not match its certificate must fail the start, not every handshake
        return tls

    def context(self, name: str = "TLS") -> ssl.SSLContext:
        """Returns the SSLContext of an HTTP server. Error messages begin with `name`."""
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            _load_chain(context, self.server_key, self.server_cert)
            if self.custom_ca:
                context.load_verify_locations(cadata=self.custom_ca.decode())
            if self.client_verify:
                if not self.custom_ca:
                    raise ValueError("client_verify needs custom_ca, the CA that signs the clients' certificates")
                context.verify_mode = ssl.CERT_REQUIRED
            context.set_alpn_protocols(["http/1.1"])
        except (ssl.SSLError, ValueError) as error:
            raise ServeError(
                Code.INVALID_ARGUMENT,
                f"{name}: server_key, server_cert or custom_ca is not valid PEM, or they do not fit together: {error}",
            ) from None
        return context


def _load_chain(context: ssl.SSLContext, key: bytes, certificate: bytes) -> None:
    """Loads the key and certificates from a private temporary file, because ssl cannot read a key from memory."""
    if not key or not certificate:
        raise ValueError("server_key and server_cert are both needed")
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder, "chain.pem")
        descriptor = os.open(pem, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key + b"\n" + certificate)
        # Without a password, ssl would prompt on the terminal for the passphrase of a key.
        context.load_cert_chain(pem, password="")


class Tokens:
    """The valid bearer tokens: one per line of a file, which is read again when it changes."""

    def __init__(self, path: str) -> None:
        """Raises INVALID_ARGUMENT if the file cannot be read or has no token."""
        self._path = Path(path)
        self._read_at: tuple[int, int] | None = None
        self._tokens: list[bytes] = []
        self._refresh()
        if not self._tokens:
            raise ServeError(Code.INVALID_ARGUMENT, f"--auth_token_file {path} holds no token: write one per line.")

    def check(self, authorization: str | None) -> None:
        """Raises UNAUTHENTICATED unless `authorization`, the value of the header, is `Bearer` and a valid token."""
        if authorization is None:
            raise ServeError(Code.UNAUTHENTICATED, "Missing header: authorization: Bearer TOKEN")
        if authorization[: len(SCHEME)].lower() != SCHEME:
            raise ServeError(Code.UNAUTHENTICATED, "The authorization header should be: Bearer TOKEN")
        self._refresh_if_changed()
        given = authorization[len(SCHEME) :].strip().encode()
        # All tokens are compared, so that the time taken does not reveal a partial match.
        if sum(hmac.compare_digest(given, token) for token in self._tokens) == 0:
            raise ServeError(Code.UNAUTHENTICATED, "The bearer token is not valid")

    def _refresh_if_changed(self) -> None:
        try:
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_size) != self._read_at:
                self._refresh()
        except (OSError, ServeError):
            return  # while the file is being replaced, the old tokens stay valid

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
            lines = self._path.read_bytes().splitlines()
        except OSError as error:
            raise ServeError(Code.INVALID_ARGUMENT, f"--auth_token_file {self._path}: {error.strerror}") from None
        self._tokens = [line.strip() for line in lines if line.strip() and not line.startswith(b"#")]
        self._read_at = (stat.st_mtime_ns, stat.st_size)
