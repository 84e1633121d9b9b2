"""Layers in training mode, random numbers and variables that change when the model runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support import keras_models, three_signatures
from tests.support.loaders import run_in_session
from tfx_export import export_function, export_keras, export_session, verify
from tfx_export.exporting.job import Extras
from tfx_export.savedmodel.export_record import Verification

UNVERIFIED = Extras(verify=False)
X = np.random.default_rng(3).normal(size=(4, 6)).astype(np.float32)


def batch_statistics(keras: Any) -> Any:
    x = keras.Input((6,), name="x")
    return keras.Model(x, keras.layers.BatchNormalization(name="y")(x, training=True))


def nested(keras: Any) -> Any:
    return keras.Sequential([keras.layers.InputLayer((6,), name="x"), batch_statistics(keras)])


def subclassed(keras: Any) -> Any:
    class Model(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = nested(keras)

        def call(self, x: Any) -> Any:
            return self.inner(x)

    model = Model()
    model(X)
    return model


def mode_is_required(keras: Any) -> Any:
    class Model(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dropout = keras.layers.Dropout(0.5)

        def call(self, x: Any, training: Any) -> Any:
            return self.dropout(x, training=training)

    model = Model()
    model(X, training=False)
    return model


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("make", [batch_statistics, nested, subclassed])
def test_layers_called_with_training_true_keep_their_mode(
    tmp_path: Path, library: str, make: Callable[..., Any]
) -> None:
    model = make(keras_models.library(library))
    before = model.get_weights()
    exported = export_keras(model, tmp_path, extras=UNVERIFIED)
    (answer,) = run_in_session(exported.path, {"x": X}).values()
    np.testing.assert_allclose(answer, model(X), rtol=1e-4, atol=1e-5)
    assert abs(answer.mean(axis=0)).max() < 1e-5
    assert not np.allclose(model.get_weights()[2], before[2])


def test_a_model_that_requires_the_mode_is_exported_for_inference(tmp_path: Path) -> None:
    exported = export_keras(mode_is_required(keras_models.library("keras")), tmp_path, extras=UNVERIFIED)
    np.testing.assert_array_equal(run_in_session(exported.path, {"x": X})["output"], X)


class Frozen(keras_models.library("keras").layers.Layer):  # type: ignore[misc]
    """Draws random numbers in Python, so that the graph holds those of the moment when it was built."""

    def call(self, x: Any) -> Any:
        return x + np.random.default_rng().random()


def noisy_and_plain(keras: Any) -> Any:
    x = keras.Input((6,), name="x")
    dropped = keras.layers.Dropout(0.5)(x, training=True)
    inner = keras.Model(x, [keras.layers.Dense(2)(dropped), keras.layers.Dense(2)(x)], name="inner")
    given = keras.Input((6,), name="x")
    noisy, plain = inner(given)
    return keras.Model(given, {"noisy": noisy, "plain": plain, "frozen": Frozen()(given)})


def verdicts(verification: Verification | None) -> dict[str, str]:
    assert verification
    return {check.output: check.verdict for check in verification.checks}


def test_a_random_output_is_told_and_the_others_are_proven(tmp_path: Path) -> None:
    model = noisy_and_plain(keras_models.library("keras"))
    exported = export_keras(model, tmp_path / "m", extras=Extras(accelerate="float32"))
    assert exported.record
    assert verdicts(exported.record.verification) == {"frozen": "random", "noisy": "random", "plain": "equal"}
    assert exported.record.verification
    frozen, noisy, _ = (check.note for check in exported.record.verification.checks)
    assert noisy == "cannot be proven equal: the source gives other values each time it runs"
    assert frozen == f"{noisy}, but the export always the same values"
    assert exported.record.accelerated
    left_out = {"serving_default": "frozen, noisy: random, so it cannot be compared"}
    assert exported.record.accelerated.left_out == left_out
    (note,) = exported.notes
    assert note.startswith("The outputs 'frozen', 'noisy' are random: cannot be proven equal, because the source")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(exported.path))
        output = exported.signatures[0].outputs["noisy"].tensor
        once, again = (session.run(output, {exported.signatures[0].inputs["x"].tensor: X}) for _ in range(2))
    assert not np.allclose(once, again)


class Draws(tf.Module):  # type: ignore[misc]
    """A module with a generator of random numbers, and a counter of its calls."""

    def __init__(self) -> None:
        self.generator = tf.random.Generator.from_seed(1)
        self.calls = tf.Variable(0.0, name="calls")

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        flipped = tf.map_fn(lambda row: tf.image.random_flip_left_right(row[None, :, None]), x)
        drawn = x + 1e-6 * self.generator.normal(tf.shape(x))
        return {"drawn": drawn, "flipped": flipped, "counted": x + self.calls, "twice": 2 * x}


DRAWS = {"drawn": "random", "flipped": "random", "counted": "equal", "twice": "equal"}


def test_functions_and_saved_models_can_be_random_and_change_variables(tmp_path: Path) -> None:
    module = Draws()
    exported = export_function(module, tmp_path)
    assert exported.record
    assert verdicts(exported.record.verification) == DRAWS
    assert module.calls.numpy() == 0.0
    changes, random = exported.notes
    assert "changes variables when it runs (calls): all clients of a server share that state" in changes
    assert "'drawn', 'flipped' are random" in random
    assert verdicts(verify(exported.path, exported.path)) == DRAWS


def test_a_session_can_be_random_and_change_variables(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with v1.Session(graph=tf.Graph()) as session:
        x = v1.placeholder(tf.float32, [None, 3], "x")
        count = v1.get_variable("count", [], initializer=v1.zeros_initializer(), use_resource=False)
        tf.add(x, v1.assign_add(count, 1.0), name="counted")
        tf.add(x, tf.random.normal(tf.shape(x), seed=3), name="drawn")
        session.run(v1.global_variables_initializer())
        outputs = {"drawn": "drawn:0", "counted": "counted:0"}
        exported = export_session(session, tmp_path, inputs={"x": "x:0"}, outputs=outputs)
        assert session.run(count) == 0.0
    assert exported.record
    assert verdicts(exported.record.verification) == {"drawn": "random", "counted": "equal"}
    assert "variables when it runs (count)" in exported.notes[-2]
    assert "output 'drawn' is random: cannot be proven equal" in exported.notes[-1]


def test_a_stateful_network_is_proven_and_its_state_is_told(tmp_path: Path) -> None:
    keras = keras_models.library("keras")
    steps = keras.Input(batch_shape=(2, 3, 1), name="x")
    model = keras.Model(steps, keras.layers.LSTM(3, stateful=True, name="h")(steps))
    keras_models.randomize(model)
    exported = export_keras(model, tmp_path, extras=Extras(warmup=1))
    assert exported.record
    assert verdicts(exported.record.verification) == {"h": "equal"}
    assert "all clients of a server share that state" in exported.notes[-1]


def test_a_source_that_takes_its_inputs_only_once_is_random(classifier: Path) -> None:
    calls: list[str] = []

    def compute(signature: str, inputs: Any) -> Any:
        calls.append(signature)
        if calls.count(signature) > 2:
            raise RuntimeError("only once")
        return three_signatures.answer(three_signatures.weights(), signature, inputs)

    assert {check.verdict for check in verify(classifier, compute).checks} == {"random"}
