"""The Input of Classify and Regress -> serialized tf.Examples, one for each row of the model's input."""

import numpy as np
from numpy.typing import NDArray

from serve.errors import Code, ServeError
from tfx_export import wire


def decode_input(message: wire.Input) -> NDArray[np.object_]:
    """Serialized examples, [examples]. INVALID_ARGUMENT if there are none.

    A context is joined with each example; of a feature that both have, the example's counts.
    """
    kind = message.WhichOneof("kind")
    found = getattr(message, kind) if kind else None
    if found is None or not found.examples:
        raise ServeError(Code.INVALID_ARGUMENT, "Input is empty.")
    context = found.context.SerializeToString() if kind == "example_list_with_context" else b""
    examples = np.empty(len(found.examples), np.object_)
    # Protobuf merges what is written one after the other.
    examples[:] = [context + example.SerializeToString() for example in found.examples]
    return examples
