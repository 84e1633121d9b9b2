"""ServeError and its codes, independent of the protocol: gRPC and REST each translate a code into their own status."""

import enum
import logging

logger = logging.getLogger("serve")


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
    """A failed request or a failed load, with a message for the client."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def invalid_argument(message: str) -> ServeError:
    """Returns an INVALID_ARGUMENT error, to be raised."""
    return ServeError(Code.INVALID_ARGUMENT, message)


def from_unexpected(error: BaseException, what: str, where: str = "in the server; see its log") -> ServeError:
    """Returns the error that a client gets for an exception that is a bug of ours.

    Logs that `what` failed, with the traceback, which the client does not get.
    """
    if isinstance(error, Exception):  # other exceptions end the process or the coroutine and are not bugs
        logger.error("%s failed unexpectedly", what, exc_info=error)
    if isinstance(error, MemoryError):
        return ServeError(Code.RESOURCE_EXHAUSTED, "Out of memory")
    return ServeError(Code.INTERNAL, f"{type(error).__name__} {where}")
