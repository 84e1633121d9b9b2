"""Shortens the error messages of TensorFlow to one line that a user understands."""

# Lines of its messages that name a place in the graph or in TensorFlow's code, before and after the reason.
_PLACES = ("Graph execution error", "Detected at node", "Original stack trace", "Node: ", "File ", "[[", "(0) ", "(1) ")


def missing_op_hint(reason: str) -> str:
    """Returns the options that load a missing operator, or an empty string for any other reason."""
    if "Op type not registered" not in reason:
        return ""
    return "Load the library or module that defines it: --op-library=FILE.so, or --import=MODULE"


def short_reason(error: Exception) -> str:
    """Returns the reason of an error without the places in graph and code that TensorFlow adds."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines()]
    reasons = [line for line in lines if line and not line.startswith(_PLACES)]
    return reasons[0].rstrip(".") if reasons else type(error).__name__
