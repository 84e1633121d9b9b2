"""Envoy's admin interface, on a Unix socket."""

import http.client
import socket
from pathlib import Path


def ask(address: Path, method: str, path: str) -> str:
    """The body of the answer. OSError if there is none: Envoy has not opened the socket yet, or is gone."""
    connection = _UnixConnection(address)
    try:
        connection.request(method, path)
        return connection.getresponse().read().decode("utf-8")
    except http.client.HTTPException as error:
        raise OSError(f"No answer from {address}") from error
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, address: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._address))
