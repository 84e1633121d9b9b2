"""Each kind of source is exported with each kind of signature, loaded in both ways and served.

The model is always the same: the scores are the softmax of the pixels times one matrix, the price is the pixels times
another matrix. numpy computes the expected outputs.
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support import keras_models
from tests.support.loaders import run_in_session, run_loaded
from tests.support.server import RunningServer, running
from tfx_export import Exported, export_function, export_keras, export_savedmodel, export_session
from tfx_export.client import Model
from tfx_export.exporting.job import Extras
from tfx_export.exporting.sources.keras_options import KerasOptions
from tfx_export.exporting.spec.from_yaml import parse_spec

V1 = tf.compat.v1
LABELS = ["zero", "one", "two", "three"]
SHAPE = (4, 5, 3)
_RANDOM = np.random.default_rng(8)
SCORING = (_RANDOM.standard_normal((60, 4)) / 500).astype(np.float32)
PRICING = _RANDOM.standard_normal((60, 1)).astype(np.float32)
IMAGES = _RANDOM.integers(0, 256, (3, *SHAPE)).astype(np.uint8)
ENDS: dict[str, Any] = {"inputs": {"image": "image:0"}, "outputs": {"scores": "scores:0", "price": "price:0"}}

SPEC = {
    "signatures": {
        "raw": {},
        "image": {"method": "image", "outputs": {"scores": "scores"}},
        "classify": {"method": "classify", "outputs": {"scores": "scores"}, "labels": "labels.txt", "top_k": 2},
        "regress": {"method": "regress", "outputs": {"outputs": "price"}},
    }
}

Export = Callable[[Path, dict[str, Any]], Exported]


def true_scores() -> np.ndarray:
    logits = IMAGES.reshape(3, 60).astype(np.float32) @ SCORING
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def true_prices() -> np.ndarray:
    return IMAGES.reshape(3, 60).astype(np.float32) @ PRICING


def keras_model(library: str) -> Any:
    keras = keras_models.library(library)
    image = keras.Input(SHAPE, name="image")
    flat = keras.layers.Flatten()(image)
    scores = keras.layers.Dense(4, activation="softmax", use_bias=False, name="scores")
    price = keras.layers.Dense(1, use_bias=False, name="price")
    model = keras.Model(image, [scores(flat), price(flat)])
    scores.set_weights([SCORING])
    price.set_weights([PRICING])
    return model


def keras_file(library: str, name: str) -> Export:
    def export(folder: Path, how: dict[str, Any]) -> Exported:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            keras_model(library).save(folder / name)
        return export_keras(folder / name, **how)

    return export


def weights(library: str, name: str) -> Export:
    def export(folder: Path, how: dict[str, Any]) -> Exported:
        model = keras_model(library)
        model.save_weights(folder / name)
        (folder / "model.json").write_text(model.to_json())
        return export_keras(folder / name, options=KerasOptions(folder / "model.json"), **how)

    return export


def network(scoring: Any, pricing: Any) -> None:
    """Builds the model with TF1 code in the default graph."""
    flat = tf.reshape(V1.placeholder(tf.float32, [None, *SHAPE], "image"), [-1, 60])
    tf.nn.softmax(tf.matmul(flat, scoring), name="scores")
    tf.matmul(flat, pricing, name="price")


def live_session() -> Any:
    session = V1.Session(graph=tf.Graph())
    with session.graph.as_default():
        network(*(V1.get_variable(n, initializer=v, use_resource=True) for n, v in (("s", SCORING), ("p", PRICING))))
        session.run(V1.global_variables_initializer())
    return session


def checkpoint(folder: Path, how: dict[str, Any]) -> Exported:
    with live_session() as session, session.graph.as_default():
        V1.train.Saver().save(session, str(folder / "model.ckpt"))
    return export_session(folder / "model.ckpt.meta", **ENDS, **how)


def session(folder: Path, how: dict[str, Any]) -> Exported:
    with live_session() as live:
        return export_session(live, **ENDS, **how)


def frozen_graph(name: str) -> Export:
    def export(folder: Path, how: dict[str, Any]) -> Exported:
        with tf.Graph().as_default() as graph:
            network(tf.constant(SCORING), tf.constant(PRICING))
        tf.io.write_graph(graph, str(folder), name, as_text=name.endswith("txt"))
        return export_session(folder / name, **ENDS, **how)

    return export


PIXELS = tf.TensorSpec([None, *SHAPE], tf.float32, name="image")


class Network(tf.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.scoring, self.pricing = tf.Variable(SCORING), tf.Variable(PRICING)

    @tf.function(input_signature=[PIXELS])  # type: ignore[untyped-decorator]
    def __call__(self, image: Any) -> dict[str, Any]:
        flat = tf.reshape(image, [-1, 60])
        return {"scores": tf.nn.softmax(flat @ self.scoring), "price": flat @ self.pricing}


def saved_model(folder: Path, how: dict[str, Any]) -> Exported:
    module = Network()
    tf.saved_model.save(module, str(folder / "saved"), signatures=module.__call__)
    return export_savedmodel(folder / "saved", **how)


def plain_function(image: Any) -> dict[str, Any]:
    flat = tf.reshape(image, [-1, 60])
    return {"scores": tf.nn.softmax(flat @ SCORING), "price": flat @ PRICING}


SOURCES: dict[str, Export] = {
    "keras3-keras": keras_file("keras", "m.keras"),
    "keras3-h5": keras_file("keras", "m.h5"),
    "keras2-keras": keras_file("tf_keras", "m.keras"),
    "keras2-h5": keras_file("tf_keras", "m.h5"),
    "keras2-hdf5": keras_file("tf_keras", "m.hdf5"),
    "keras2-folder": keras_file("tf_keras", "folder"),
    "keras3-weights": weights("keras", "m.weights.h5"),
    "keras2-weights": weights("tf_keras", "m.h5"),
    "checkpoint": checkpoint,
    "session": session,
    "frozen": frozen_graph("frozen.pb"),
    "frozen-text": frozen_graph("frozen.pbtxt"),
    "savedmodel": saved_model,
    "keras3-object": lambda folder, how: export_keras(keras_model("keras"), **how),
    "module": lambda folder, how: export_function(Network(), **how),
    "tf.function": lambda folder, how: export_function(tf.function(plain_function, input_signature=[PIXELS]), **how),
    "callable": lambda folder, how: export_function(plain_function, inputs={"image": PIXELS}, **how),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The version folder of the export of each source, all in one folder of models."""
    models = tmp_path_factory.mktemp("models")
    labels = tmp_path_factory.mktemp("labels")
    (labels / "labels.txt").write_text("\n".join(LABELS))
    spec = parse_spec(SPEC, folder=labels)
    found = {}
    for name, export in SOURCES.items():
        how = {"out": models / name, "spec": spec, "extras": Extras(verify=False)}
        found[name] = export(tmp_path_factory.mktemp(name), how).path
    return found


@pytest.fixture(scope="module")
def server(exported: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    models = exported["module"].parents[1]
    with running(tmp_path_factory.mktemp("server"), f"--model_base_path={models}", "--front=python") as started:
        yield started


def example(pixels: np.ndarray) -> bytes:
    message = tf.train.Example()
    message.features.feature["image"].float_list.value.extend(pixels.ravel().tolist())
    content: bytes = message.SerializeToString()
    return content


INPUTS = {
    "serving_default": {"image": IMAGES.astype(np.float32)},
    "raw": {"image": IMAGES.astype(np.float32)},
    "image": {"image_bytes": np.array([tf.io.encode_png(image).numpy() for image in IMAGES], object)},
    "classify": {"inputs": np.array([example(image) for image in IMAGES], object)},
    "regress": {"inputs": np.array([example(image) for image in IMAGES], object)},
}


def assert_expected(signature: str, answers: dict[str, np.ndarray]) -> None:
    scores = true_scores()
    best = np.argsort(-scores, axis=1)[:, :2]
    truth: dict[str, dict[str, np.ndarray]] = {
        "image": {"scores": scores},
        "classify": {
            "scores": np.take_along_axis(scores, best, 1),
            "classes": np.array(LABELS, dtype=object)[best].astype("S"),
        },
        "regress": {"outputs": true_prices()},
    }
    expected = truth.get(signature, {"scores": scores, "price": true_prices()})
    assert set(answers) == set(expected)
    for name, value in expected.items():
        if value.dtype.kind == "S":
            assert answers[name].tolist() == value.tolist()
        else:
            np.testing.assert_allclose(answers[name], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("signature", INPUTS)
@pytest.mark.parametrize("source", SOURCES)
def test_session_and_tf_saved_model_load_give_the_expected_outputs(
    exported: dict[str, Path], source: str, signature: str
) -> None:
    for run in (run_in_session, run_loaded):
        assert_expected(signature, run(exported[source], INPUTS[signature], signature))


@pytest.mark.parametrize("source", SOURCES)
def test_the_server_gives_the_expected_outputs(server: RunningServer, source: str) -> None:
    with server.client as client:
        for signature in ("serving_default", "raw", "image"):
            assert_expected(signature, client.predict(Model(source, signature=signature), INPUTS[signature]))
        rows = [{"image": image.ravel().astype(float).tolist()} for image in IMAGES]
        best = client.classify(Model(source, signature="classify"), rows)
        prices = client.regress(Model(source, signature="regress"), rows)
    found = {
        "classes": np.array([[label.encode() for label, _ in row] for row in best], object),
        "scores": np.array([[score for _, score in row] for row in best]),
    }
    assert_expected("classify", found)
    assert_expected("regress", {"outputs": np.array(prices)[:, None]})
