"""Signatures compute what their spec describes. A spec that breaks a rule of serving is refused with rule and fix."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support import keras_models
from tfx_export.errors import SpecError
from tfx_export.exporting import write_savedmodel
from tfx_export.exporting.signatures.build_signature import build_signatures
from tfx_export.exporting.signatures.image_inputs import APPLICATIONS
from tfx_export.exporting.signatures.signature_graph import SignatureGraph
from tfx_export.exporting.source_graph import SourceGraph
from tfx_export.exporting.sources import keras as keras_source
from tfx_export.exporting.spec.draft import draft_spec
from tfx_export.exporting.spec.from_yaml import parse_spec, read_spec
from tfx_export.exporting.spec.model import ExportSpec, SignatureSpec
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.templates import templates

LABELS = ["zero", "one", "two", "three"]


def image_model(keras: Any) -> Any:
    image = keras.Input((4, 5, 3), name="image")
    flat = keras.layers.Flatten()(image)
    scores = keras.layers.Dense(4, activation="softmax", name="scores")(flat)
    return keras.Model(image, [scores, keras.layers.Dense(1, name="price")(flat)])


def features_model(keras: Any) -> Any:
    words = keras.Input((None,), dtype="int64", name="words")
    prices = keras.Input((3,), name="prices")
    length = keras.layers.Lambda(lambda x: keras.ops.cast(keras.ops.sum(x, axis=1, keepdims=True), "float32"))(words)
    both = keras.layers.Concatenate()([length, prices])
    return keras.Model(
        [words, prices], keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="r")(both)
    )


@pytest.fixture(scope="module")
def model() -> Any:
    keras = keras_models.library("keras")
    built = image_model(keras)
    keras_models.randomize(built)
    # Small weights, so that the softmax gives different scores for the classes.
    built.set_weights([weight * 0.01 for weight in built.get_weights()])
    return built


@pytest.fixture
def source(model: Any) -> Iterator[SourceGraph]:
    with keras_source.open_model(model) as opened:
        yield opened


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "labels.txt"
    path.write_text("\n".join(LABELS) + "\n")
    return path


def build(source: SourceGraph, signature: dict[str, Any], folder: Path = Path()) -> SignatureGraph:
    return build_signatures(source, parse_spec({"signatures": {"serving_default": signature}}, folder=folder))[0]


def run(source: SourceGraph, built: SignatureGraph, **inputs: Any) -> dict[str, np.ndarray]:
    """Returns the outputs of the signature's graph."""
    fetch = {name: spec.tensor for name, spec in built.signature.outputs.items()}
    feeds = {built.signature.inputs[name].tensor: value for name, value in inputs.items()}
    answers: dict[str, np.ndarray] = source.session.run(fetch, feed_dict=feeds)
    return answers


def images(rows: int = 3) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (rows, 4, 5, 3)).astype(np.uint8)


def example(**features: Any) -> bytes:
    message = tf.train.Example()
    for name, value in features.items():
        values = np.ravel(value)
        feature = message.features.feature[name]
        if values.dtype.kind == "f":
            feature.float_list.value.extend(values.tolist())
        elif values.dtype.kind in "iu":
            feature.int64_list.value.extend(values.tolist())
        else:
            feature.bytes_list.value.extend(item.encode() for item in values)
    text: bytes = message.SerializeToString()
    return text


def test_predict_casts_and_renames_inputs_and_selects_outputs(source: SourceGraph, model: Any) -> None:
    built = build(
        source,
        {
            "inputs": {"pixels": {"source": "image", "dtype": "uint8", "shape": [2, 4, 5, 3]}},
            "outputs": {"probabilities": "scores"},
        },
    )
    spec = built.signature.inputs["pixels"]
    assert (spec.dtype, spec.shape) == ("DT_UINT8", (2, 4, 5, 3))
    expected = model(images(2).astype(np.float32))[0]
    np.testing.assert_allclose(run(source, built, pixels=images(2))["probabilities"], expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["predict", "classify"])
@pytest.mark.parametrize(("top_k", "count"), [(None, 4), (2, 2)])
@pytest.mark.parametrize("named", [True, False])
def test_classify_applies_labels_and_top_k(
    source: SourceGraph, model: Any, labels: Path, method: str, top_k: int | None, count: int, named: bool
) -> None:
    content = {"method": method, "outputs": {"scores": "scores"}, "top_k": top_k}
    if named:
        content["labels"] = labels.name
    built = build(source, content, labels.parent)
    sent: dict[str, Any] = (
        {"image": images()} if method == "predict" else {"inputs": [example(image=item / 1.0) for item in images()]}
    )
    answer = run(source, built, **sent)
    truth = model(images().astype(np.float32))[0].numpy()
    if not named and top_k is None:
        assert set(answer) == {"scores"}
        np.testing.assert_allclose(answer["scores"], truth, rtol=1e-5)
        return
    order = np.argsort(-truth, axis=1)[:, :count] if top_k else np.tile(np.arange(4), (3, 1))
    names = np.array(LABELS if named else ["0", "1", "2", "3"])
    assert answer["classes"].astype(str).tolist() == names[order].tolist()
    np.testing.assert_allclose(answer["scores"], np.take_along_axis(truth, order, 1), rtol=1e-5)
    source_outputs = built.run_source(sent)
    np.testing.assert_allclose(source_outputs["scores"], answer["scores"], rtol=1e-5)


def test_regress_returns_one_number_for_each_example(source: SourceGraph, model: Any) -> None:
    built = build(source, {"method": "regress", "outputs": {"outputs": "price"}})
    answer = run(source, built, inputs=[example(image=item / 1.0) for item in images()])
    np.testing.assert_allclose(answer["outputs"], model(images().astype(np.float32))[1], rtol=1e-5)


def test_features_of_each_kind_are_parsed(source: SourceGraph) -> None:
    keras = keras_models.library("keras")
    content = read_spec_template("regress")
    content["features"]["prices"]["size"] = 3
    content["outputs"] = {"outputs": "r"}
    with keras_source.open_model(features_model(keras)) as opened:
        built = build(opened, content)
        answer = run(
            opened,
            built,
            inputs=[example(words=[1, 2, 3], price_at=[0, 2], price_of=[0.5, 0.25]), example(words=[10])],
        )
    assert answer["outputs"].tolist() == [[6.75], [10.0]]


def test_a_missing_feature_gets_its_default_or_raises_an_error(source: SourceGraph, model: Any) -> None:
    content = {"method": "regress", "outputs": {"outputs": "price"}, "features": {"image": {"default": 1.0}}}
    answer = run(source, build(source, content), inputs=[example()])
    np.testing.assert_allclose(answer["outputs"], model(np.ones((1, 4, 5, 3)))[1], rtol=1e-5)
    content["features"] = {"image": {}}
    with pytest.raises(tf.errors.InvalidArgumentError, match="image"):
        run(source, build(source, content), inputs=[example()])


ENCODERS = {
    "png": tf.io.encode_png,
    "jpeg": lambda image: tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False),
    "bmp": lambda image: encode_bmp(image),
    "gif": lambda image: encode_gif(image),
}


def encode_bmp(image: np.ndarray) -> bytes:
    height, width, _ = image.shape
    padding = bytes(-width * 3 % 4)
    rows = b"".join(image[row, :, ::-1].tobytes() + padding for row in reversed(range(height)))
    size = (54 + len(rows)).to_bytes(4, "little")
    head = b"BM" + size + bytes(4) + (54).to_bytes(4, "little")
    shape = (40).to_bytes(4, "little") + width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return bytes(head + shape + b"\x01\x00\x18\x00" + bytes(24) + rows)


def encode_gif(image: np.ndarray) -> bytes:
    """Returns a GIF with one frame of all different colors, with 9-bit codes and a reset before each."""
    height, width, _ = image.shape
    palette = image.reshape(-1, 3).tobytes().ljust(768, b"\0")
    codes = [code for index in range(height * width) for code in (256, index)] + [257]
    bits = sum(code << (9 * place) for place, code in enumerate(codes))
    data = bits.to_bytes((9 * len(codes) + 7) // 8, "little")
    size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    blocks = b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255))
    return bytes(b"GIF89a" + size + b"\xf7\0\0" + palette + b"\x2c\0\0\0\0" + size + b"\0\x08" + blocks + b"\0\x3b")


@pytest.mark.parametrize("form", ENCODERS)
def test_images_are_decoded(source: SourceGraph, model: Any, form: str) -> None:
    built = build(source, {"method": "image", "image": {"scale": "0-1"}})
    pictures = np.repeat(images(3)[:, :1, :1], 4, axis=1).repeat(5, axis=2) if form == "jpeg" else images(3)
    encoded = [
        bytes(np.asarray(ENCODERS[form](picture)).item()) if form in ("png", "jpeg") else ENCODERS[form](picture)
        for picture in pictures
    ]
    answer = run(source, built, image_bytes=encoded)
    expected = model(pictures.astype(np.float32) / 255)
    np.testing.assert_allclose(answer["scores"], expected[0], rtol=1e-3)
    np.testing.assert_allclose(answer["price"], expected[1], rtol=1e-2)
    assert run(source, built, image_bytes=np.array([], object))["scores"].shape == (0, 4)


def test_the_number_of_the_best_class_stands_beside_the_probabilities(source: SourceGraph, model: Any) -> None:
    content = {"method": "image", "outputs": {"classes": {"argmax": "scores"}, "probabilities": "scores"}}
    built = build(source, content)
    assert [(name, spec.dtype) for name, spec in sorted(built.signature.outputs.items())] == [
        ("classes", "DT_INT64"),
        ("probabilities", "DT_FLOAT"),
    ]
    pictures = images(3)
    answer = run(source, built, image_bytes=[bytes(ENCODERS["bmp"](picture)) for picture in pictures])
    expected = model(pictures.astype(np.float32))[0].numpy()
    np.testing.assert_allclose(answer["probabilities"], expected, rtol=1e-5)
    np.testing.assert_array_equal(answer["classes"], expected.argmax(1))


def test_images_are_resized(source: SourceGraph, model: Any) -> None:
    large = np.random.default_rng(1).integers(0, 256, (16, 20, 3)).astype(np.uint8)
    built = build(source, {"method": "image", "image": {"resize": "area", "mean": [10.0, 20.0, 30.0], "std": [2.0]}})
    answer = run(source, built, image_bytes=[tf.io.encode_png(large).numpy()])
    small = large.reshape(4, 4, 5, 4, 3).mean((1, 3))
    expected = model(((small - [10, 20, 30]) / 2)[None].astype(np.float32))
    np.testing.assert_allclose(answer["price"], expected[1], rtol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "convnext",
        "densenet",
        "efficientnet",
        "efficientnet_v2",
        "inception_resnet_v2",
        "inception_v3",
        "mobilenet",
        "mobilenet_v2",
        "mobilenet_v3",
        "nasnet",
        "resnet",
        "resnet50",
        "resnet_v2",
        "vgg16",
        "vgg19",
        "xception",
    ],
)
def test_normalization_equals_that_of_keras_applications(name: str) -> None:
    keras = keras_models.library("keras")
    module = getattr(keras.applications, name)
    pixels = images().astype(np.float32)
    np.testing.assert_allclose(APPLICATIONS[name](pixels), module.preprocess_input(pixels.copy()), atol=1e-4)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "unknown input": ({"inputs": {"x": "imag"}}, "has no input 'imag'"),
    "unknown output": ({"outputs": {"x": "score"}}, r"has no output 'score'.\n.*'scores', 'price'"),
    "input of wrong rank": ({"inputs": {"x": {"source": "image", "shape": [None, 60]}}}, "does not fit the model's"),
    "text for numbers": ({"inputs": {"x": {"source": "image", "dtype": "string"}}}, "string cannot be cast to float32"),
    "no dtype": ({"inputs": {"x": {"source": "image", "dtype": "floaty"}}}, "'floaty' is not a dtype"),
    "two outputs to classify": ({"method": "classify"}, "Classify uses one output"),
    "unknown output to choose from": ({"outputs": {"x": {"argmax": "score"}}}, "has no output 'score'"),
    "two outputs to label": ({"top_k": 1, "outputs": {"a": "scores", "b": "price"}}, "apply to one output"),
    "regress of classes": ({"method": "regress", "outputs": {"o": "scores"}}, r"\(batch\) or \(batch, 1\)"),
    "top_k too large": ({"method": "classify", "outputs": {"s": "scores"}, "top_k": 9}, "the model has 4 classes"),
    "labels missing": ({"outputs": {"s": "scores"}, "labels": "none.txt"}, "cannot be read"),
    "labels of another model": ({"outputs": {"s": "scores"}, "labels": __file__}, "but the model has 4 classes"),
    "feature for no input": ({"method": "classify", "features": {"f": {}}}, "has no input 'f'"),
    "feature of wrong shape": (
        {"method": "regress", "outputs": {"o": "price"}, "features": {"image": {"shape": [5]}}},
        "shape is that of one example",
    ),
    "sparse feature without names": (
        {"method": "regress", "outputs": {"o": "price"}, "features": {"image": {"kind": "sparse"}}},
        "needs index, value and size",
    ),
    "no such scale": ({"method": "image", "image": {"scale": "resnet49"}}, "is not a scale"),
    "no such resize": ({"method": "image", "image": {"resize": "magic"}}, "is not a resize method"),
    "image of wrong size": ({"method": "image", "image": {"size": [9, 9]}}, "does not fit the model's"),
    "image to classify": ({"method": "classify", "image": {}}, "encoded images can only be sent to Predict"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_spec_that_does_not_fit_the_source_is_refused(source: SourceGraph, case: str) -> None:
    content, message = BROKEN[case]
    with pytest.raises(SpecError, match=message):
        build(source, content)


@pytest.mark.parametrize(
    ("content", "chosen"),
    [
        ({"a": {"method": "image"}, "b": {}, "c": {}}, "b"),
        ({"a": {"method": "image"}}, "a"),
        ({"a": {}, "serving_default": {"outputs": {"x": "price"}}}, "serving_default"),
    ],
)
def test_the_default_signature_is_chosen_by_the_rules(
    source: SourceGraph, content: dict[str, Any], chosen: str
) -> None:
    built = {one.signature.name: one.signature for one in build_signatures(source, parse_spec({"signatures": content}))}
    assert set(built) == {*content, "serving_default"}
    assert built["serving_default"].outputs == built[chosen].outputs
    assert built["serving_default"].inputs == built[chosen].inputs


@pytest.mark.parametrize(
    ("names", "default", "message"),
    [(["a"], "b", "is not among the signatures"), (["serving_default", "a"], "a", "but another signature is named")],
)
def test_an_impossible_default_signature_is_refused(
    source: SourceGraph, names: list[str], default: str, message: str
) -> None:
    spec = ExportSpec(tuple(SignatureSpec(name) for name in names), default=default)
    with pytest.raises(SpecError, match=message):
        build_signatures(source, spec)


def read_spec_template(name: str) -> dict[str, Any]:
    import yaml

    content: dict[str, Any] = yaml.safe_load((templates("signatures") / f"{name}.yaml").read_text())
    found: dict[str, Any] = next(iter(content["signatures"].values()))
    return found


def digits_model(keras: Any) -> Any:
    image = keras.Input((28, 28, 1), name="image")
    return keras.Model(image, keras.layers.Dense(4, name="scores")(keras.layers.Flatten()(image)))


@pytest.mark.parametrize("name", ["predict", "classify", "image"])
def test_each_template_fits_a_model(tmp_path: Path, labels: Path, name: str) -> None:
    spec_file = tmp_path / "spec.yaml"
    spec_file.write_text((templates("signatures") / f"{name}.yaml").read_text())
    (tmp_path / "labels.txt").write_text(labels.read_text())
    with keras_source.open_model(digits_model(keras_models.library("keras"))) as opened:
        assert "serving_default" in {one.signature.name for one in build_signatures(opened, read_spec(spec_file))}


def test_a_drafted_spec_describes_an_export_without_a_spec(source: SourceGraph, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(draft_spec(source))
    drafted = build_signatures(source, read_spec(tmp_path / "spec.yaml"))
    plain = build_signatures(source, ExportSpec())
    assert {one.signature.name for one in drafted} == {"predict", "serving_default"}
    for one in (*drafted, *plain):
        assert {name: (spec.dtype, spec.shape) for name, spec in one.signature.inputs.items()} == {
            "image": ("DT_FLOAT", (None, 4, 5, 3))
        }
        assert set(one.signature.outputs) == {"scores", "price"}


def test_tables_assets_tags_and_text_format_are_written(source: SourceGraph, labels: Path, tmp_path: Path) -> None:
    extra = tmp_path / "vocabulary.txt"
    extra.write_text("a\nb\n")
    spec = parse_spec(
        {
            "signatures": {"c": {"method": "classify", "outputs": {"scores": "scores"}, "labels": labels.name}},
            "tags": ["serve", "gpu"],
            "assets": [str(extra)],
            "as_text": True,
        },
        folder=labels.parent,
    )
    folder = tmp_path / "1"
    folder.mkdir()
    built = build_signatures(source, spec)
    write_savedmodel.write(source, [one.signature for one in built], folder, spec)
    assert {path.name for path in folder.rglob("*") if path.is_file()} >= {
        "saved_model.pbtxt",
        "labels.txt",
        "vocabulary.txt",
    }
    moved = folder.rename(tmp_path / "moved")
    written = read_signatures(moved, ("serve", "gpu"))["c"]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.loader.load(session, ["serve", "gpu"], str(moved))
        classes = session.run(
            written.outputs["classes"].tensor, {written.inputs["inputs"].tensor: [example(image=images(1) / 1.0)]}
        )
    assert classes.astype(str).tolist() == [LABELS]
