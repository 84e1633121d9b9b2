"""Models with one signature for each dtype, which returns its input `x`, of any shape, as `y`.

echo_tf1 is saved from a session and also has signatures for rare dtypes, echo_tf2 is saved from a tf.Module.
"""

# TensorFlow has no types: its base classes and decorators are Any.
# mypy: disable-error-code="misc,untyped-decorator"

from pathlib import Path
from typing import Any

from tests.support.lean_tensorflow import tf, tf1
from tests.support.protocols import DTYPES, RARE_DTYPES


class Echo(tf.Module):
    def __init__(self) -> None:
        self.functions: dict[str, Any] = {}
        for name in DTYPES:
            spec = tf.TensorSpec(None, tf.as_dtype(name), "x")
            self.functions[name] = tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[spec])


def write(folder: Path) -> None:
    """Writes both models below `folder`."""
    echo = Echo()
    concrete = {name: function.get_concrete_function() for name, function in echo.functions.items()}
    tf.saved_model.save(echo, str(folder / "echo_tf2" / "1"), signatures=concrete)
    with tf1.Graph().as_default(), tf1.Session() as session:
        signatures = {}
        for name in (*DTYPES, *RARE_DTYPES):
            x = tf1.placeholder(tf.as_dtype(name), None, name)
            signatures[name] = tf1.saved_model.predict_signature_def({"x": x}, {"y": tf.identity(x)})
        builder = tf1.saved_model.Builder(str(folder / "echo_tf1" / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
