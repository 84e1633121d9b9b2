"""Ports: reserved before a model is loaded, so that one in use is reported at once, and held while workers change.

A reserved port is bound without listening: it refuses connections, and no other program can take it.
"""

import socket
from collections.abc import Sequence
from pathlib import Path

from serve.config import ANY_PORT, LOOPBACK
from serve.errors import Code, ServeError
from serve.startup.overview import join_host_port

Address = tuple[str, int]

GRPC_FLAG = "--port"
REST_FLAG = "--rest_api_port"

_LOOPBACK_ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
# How many ports that the system chooses are tried, until one is free on all addresses of the host.
MAX_ATTEMPTS = 20


class Ports:
    """Addresses that this process has bound without listening. Its workers can share them."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._sockets: list[Path] = []

    def reserve(self, protocol: str, host: str, port: int, flag: str) -> tuple[Address, ...]:
        """Binds every address of `host` and returns them, with `port` or a port that the system chooses.

        Raises ServeError (UNAVAILABLE) if one cannot be bound.
        """
        ip, before = host, len(self._held)
        for attempts_left in reversed(range(MAX_ATTEMPTS if port == ANY_PORT else 1)):
            bound: list[Address] = []
            try:
                for family, ip in _addresses(host):
                    bound.append(self._bind(family, (ip, bound[0][1] if bound else max(port, 0))))
                break
            except OSError as error:
                if not attempts_left:
                    shown = ip if host == LOOPBACK else host
                    raise cannot_listen(protocol, shown, port, flag, error.strerror) from None
                # The free port of one address is in use on another.
                for held in self._held[before:]:
                    held.close()
                del self._held[before:]
        return tuple(bound)

    def _bind(self, family: socket.AddressFamily, address: Address) -> Address:
        # First bound exclusively: with SO_REUSEPORT alone, two servers on a port would silently share its requests.
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
            address = (address[0], alone.getsockname()[1])
        shared = socket.socket(family, socket.SOCK_STREAM)
        self._held.append(shared)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
        return address

    def reserve_socket(self, path: str) -> str:
        """Returns the absolute path of a Unix socket. A server that already listens there loses it, as upstream.

        Raises ServeError (UNAVAILABLE) if listening there is impossible.
        """
        absolute = Path(path).absolute()
        reason = ""
        if not absolute.parent.is_dir():
            reason = "its folder does not exist"
        elif absolute.exists() and not absolute.is_socket():
            reason = "it is not a socket"
        if reason:
            raise ServeError(Code.UNAVAILABLE, f"Cannot listen for gRPC on the Unix socket {path}: {reason}.")
        self._sockets.append(absolute)
        return str(absolute)

    def release(self) -> None:
        """Releases the ports, for a server that does not share them and is about to listen."""
        for held in self._held:
            held.close()
        self._held.clear()

    def close(self) -> None:
        """Releases the ports and removes the sockets, except those that another server listens on by now."""
        self.release()
        for path in self._sockets:
            if not _has_listener(path):
                path.unlink(missing_ok=True)


def cannot_listen(protocol: str, host: str, port: int, flag: str, reason: str | None = None) -> ServeError:
    """Returns the error for an address that cannot be bound."""
    where = join_host_port(host, port) + (f": {reason}" if reason else "")
    return ServeError(Code.UNAVAILABLE, f"Cannot listen for {protocol} on {where}. Choose another {flag}.")


def _has_listener(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(str(path)) == 0


def shown_address(host: str, reserved: Sequence[Address]) -> str:
    """Returns the address that users see: for the loopback an IP, because `localhost` is not the same IP everywhere."""
    ip, port = reserved[0]
    return join_host_port(ip if host == LOOPBACK else host, port)


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Returns the addresses of a host name, each once, IPv4 first, because clients try IPv4 first.

    Some clients try ::1 first for `localhost`, so that it means both, whatever the system's list of hosts says.
    """
    if host == LOOPBACK:
        return [(family, ip) for family, ip in _LOOPBACK_ADDRESSES if _exists(family, ip)] or [_LOOPBACK_ADDRESSES[0]]
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    unique = {(family, str(address[0])) for family, _, _, _, address in found}
    return sorted(unique, key=lambda entry: (entry[0] != socket.AF_INET, entry[1]))


def _exists(family: socket.AddressFamily, ip: str) -> bool:
    """Whether this machine has the address: without IPv6, it has no ::1."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((ip, 0))
    except OSError:
        return False
    return True
