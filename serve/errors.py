"""ServeError and its codes, independent of the protocol: gRPC and REST each translate a code into their own status."""

import enum


class Code(enum.IntEnum):
    """Status codes. The numbers are those of gRPC and of `tensorflow.error.Code`."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ServeError(Exception):
    """A request or a load that failed for a reason that its sender is told."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def invalid_argument(message: str) -> ServeError:
    """Returns an INVALID_ARGUMENT error, to be raised."""
    return ServeError(Code.INVALID_ARGUMENT, message)


def internal_error(error: BaseException) -> ServeError:
    """Returns the ServeError for an unexpected exception. The caller logs it; the client learns only its type."""
    return ServeError(Code.INTERNAL, f"{type(error).__name__} in the server; see its log")
