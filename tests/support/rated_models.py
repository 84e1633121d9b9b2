"""Models that classify and regress tf.Examples: rated_tf1 is saved from a session, rated_tf2 from a tf.Module.

Features: `a`, two floats; `k`, an int64, 1 by default; `s`, bytes, "?" by default.
Signatures: `regress` sum(a) * k; `classify` [s, "other"] with [sum(a), -sum(a)]; `scores` and `classes` return only
one of the two; `serving_default` is the same as `regress`; `uneven` is a regression with two values per example.
`number` and `number_scores` return 1; if s is not ASCII, the error message of their operator quotes s.
"""

# TensorFlow has no types: its base classes and decorators are Any.
# mypy: disable-error-code="misc,untyped-decorator"

from pathlib import Path
from typing import Any

from tests.support.lean_tensorflow import tf, tf1

FEATURES = {
    "a": tf1.FixedLenFeature([2], tf.float32),
    "k": tf1.FixedLenFeature([], tf.int64, 1),
    "s": tf1.FixedLenFeature([], tf.string, "?"),
}


def answers(serialized: Any) -> dict[str, dict[str, Any]]:
    """Returns the outputs of each signature."""
    features = tf1.io.parse_example(serialized, FEATURES)
    total = tf.reduce_sum(features["a"], axis=1)
    rated = {"outputs": total * tf.cast(features["k"], tf.float32)}
    scores = {"scores": tf.stack([total, -total], axis=1)}
    number = tf.strings.to_number(tf.strings.regex_replace(features["s"], "^[ -~]*$", "1"))
    classes = {"classes": tf.stack([features["s"], tf.fill(tf.shape(features["s"]), "other")], axis=1)}
    return {
        "regress": rated,
        "serving_default": rated,
        "classify": scores | classes,
        "scores": scores,
        "classes": classes,
        "uneven": {"outputs": features["a"]},
        "number": {"outputs": number},
        "number_scores": {"scores": tf.stack([number, -number], axis=1)},
    }


def method(name: str) -> str:
    return "classify" if name in ("classify", "scores", "classes", "number_scores") else "regress"


def tf1_model(folder: Path) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        serialized = tf1.placeholder(tf.string, [None], "serialized")
        signatures = {
            name: tf1.saved_model.build_signature_def(
                {"inputs": tf1.saved_model.build_tensor_info(serialized)},
                {alias: tf1.saved_model.build_tensor_info(output) for alias, output in outputs.items()},
                f"tensorflow/serving/{method(name)}",
            )
            for name, outputs in answers(serialized).items()
        }
        builder = tf1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


def tf2_model(folder: Path) -> None:
    def signature(name: str) -> Any:
        def answer(inputs: Any) -> Any:
            return answers(inputs)[name]

        return tf.function(answer, input_signature=[tf.TensorSpec([None], tf.string, "inputs")])

    names = ("regress", "serving_default", "classify", "scores", "classes", "uneven", "number", "number_scores")
    tf.saved_model.save(tf.Module(), str(folder), signatures={name: signature(name) for name in names})


def write(folder: Path) -> None:
    """Writes both models below `folder`."""
    tf1_model(folder / "rated_tf1" / "1")
    tf2_model(folder / "rated_tf2" / "1")
