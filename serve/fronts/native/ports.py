"""Ports: taken before a model is loaded, so that a port in use is said at once, and kept while workers come and go."""

import socket
from collections.abc import Sequence
from pathlib import Path

from serve.config import ANY_PORT
from serve.errors import Code, ServeError

Address = tuple[str, int]


class Ports:
    """Addresses this process has bound, without listening, for its workers to share."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._sockets: list[Path] = []

    def take(self, protocol: str, host: str, port: int, flag: str) -> tuple[Address, ...]:
        """Every address of `host`, with `port` or one the system chooses. UNAVAILABLE if it cannot be had."""
        try:
            addresses = _addresses(host, 0 if port == ANY_PORT else port)
            taken: list[Address] = []
            for family, (ip, number) in addresses:
                taken.append(self._take(family, (ip, taken[0][1] if taken else number)))
        except OSError:
            where = joined(host, port)
            message = f"Cannot listen for {protocol} on {where}. Choose another {flag}."
            raise ServeError(Code.UNAVAILABLE, message) from None
        return tuple(taken)

    def _take(self, family: socket.AddressFamily, address: Address) -> Address:
        # Whoever shares a port unasked gets half of the other's requests: so first ask for it alone.
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
            address = (address[0], alone.getsockname()[1])
        shared = socket.socket(family, socket.SOCK_STREAM)
        self._held.append(shared)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
        return address

    def take_socket(self, path: str) -> str:
        """The absolute path of a Unix socket. If a server listens there, its new clients will come here, as upstream.

        UNAVAILABLE if nobody can listen there.
        """
        absolute = Path(path).absolute()
        reason = ""
        if not absolute.parent.is_dir():
            reason = "its folder does not exist"
        elif absolute.exists() and not absolute.is_socket():
            reason = "it is no socket"
        if reason:
            raise ServeError(Code.UNAVAILABLE, f"Cannot listen for gRPC on the Unix socket {path}: {reason}.")
        self._sockets.append(absolute)
        return str(absolute)

    def close(self) -> None:
        """Give them back; a socket that another server has taken over is left to it."""
        for held in self._held:
            held.close()
        for path in self._sockets:
            if not _is_answered(path):
                path.unlink(missing_ok=True)


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(str(path)) == 0


def _addresses(host: str, port: int) -> Sequence[tuple[socket.AddressFamily, Address]]:
    """The addresses of a host name, each once, IPv4 first: what clients try first by that name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    unique = {(family, (str(address[0]), port)) for family, _, _, _, address in found}
    return sorted(unique, key=lambda entry: (entry[0] != socket.AF_INET, entry[1]))


def joined(host: str, port: int) -> str:
    """`127.0.0.1:8500`, `[::1]:8500`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
