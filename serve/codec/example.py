"""Converts the Input of Classify and Regress to serialized tf.Examples, one for each row of the model's input."""

import numpy as np
from numpy.typing import NDArray

from serve.errors import Code, ServeError
from tfx_export import wire


def decode_input(message: wire.Input) -> NDArray[np.object_]:
    """Returns serialized examples, `[examples]`. Raises INVALID_ARGUMENT if there are none.

    A context is merged into each example. A feature of an example replaces that of the context.
    """
    kind = message.WhichOneof("kind")
    example_list = getattr(message, kind) if kind else None
    if example_list is None or not example_list.examples:
        raise ServeError(Code.INVALID_ARGUMENT, "Input is empty.")
    context = example_list.context.SerializeToString() if kind == "example_list_with_context" else b""
    examples = np.empty(len(example_list.examples), np.object_)
    # Protobuf merges messages whose bytes are concatenated.
    examples[:] = [context + example.SerializeToString() for example in example_list.examples]
    return examples
