"""How a failure is told over gRPC: the code's number is gRPC's own, the message is cut as upstream cuts it."""

from serve.errors import ServeError

MAX_MESSAGE = 1024
_CUT = "...TRUNCATED"


def status_message(error: ServeError) -> str:
    """The message of a gRPC status, at most 1024 characters and a mark."""
    if len(error.message) <= MAX_MESSAGE:
        return error.message
    return error.message[:MAX_MESSAGE] + _CUT
