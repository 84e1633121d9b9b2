"""What TensorFlow says when it fails, in a line a person can use."""

# Lines of its messages that tell where in the graph and in which code, before and after what went wrong.
_PLACES = ("Graph execution error", "Detected at node", "Original stack trace", "Node: ", "File ", "[[", "(0) ", "(1) ")


def reason(error: Exception) -> str:
    """What went wrong, without the places in graph and code that TensorFlow writes around it."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines()]
    said = [line for line in lines if line and not line.startswith(_PLACES)]
    return said[0].rstrip(".") if said else type(error).__name__
