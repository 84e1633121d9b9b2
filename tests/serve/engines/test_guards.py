"""Neither an input nor a graph ends the process: too small images, wrong SignatureDefs, functions without end."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.config import Config
from serve.engines import load
from serve.engines.preparation import Outcome
from serve.errors import ServeError
from tfx_export import wire

IMAGE = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)


@pytest.fixture(scope="module")
def operator_models(built: Callable[[str], Path]) -> Path:
    """The folder that tests/support/operator_models.py fills."""
    return built("tests.support.operator_models")


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("name", ["pooled", "counted"])
def test_an_image_smaller_than_the_window_is_refused(
    name: str, prepared: bool, operator_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not prepared:
        monkeypatch.setattr("serve.engines.prepare", lambda *_: Outcome(None, "for a test"))
    model = load(operator_models / name / "1", Config())
    for signature in model.signatures:
        if signature.startswith("__"):
            continue
        # oneDNN divides by zero if the output is empty and the batch is not.
        for shape in ((1, 1, 1, 1), (2, 3, 1, 1), (1, 1, 3, 1)):
            with pytest.raises(ServeError, match="is smaller than its window"):
                model.run(signature, {"x": np.ones(shape, np.float32)}, ["y"])
        assert model.run(signature, {"x": IMAGE}, ["y"])["y"].ravel().tolist() == [4.0, 5.0, 7.0, 8.0]
        assert model.run(signature, {"x": IMAGE[:0]}, ["y"])["y"].shape == (0, 2, 2, 1)
        with pytest.raises(ServeError, match=r"(?i)rank|shape"):
            model.run(signature, {"x": IMAGE[0]}, ["y"])
    model.close()


def test_an_input_that_the_signature_declares_with_another_dtype_or_rank_is_refused(
    operator_models: Path, tmp_path: Path
) -> None:
    def declare(signatures: Any) -> None:
        signatures["uint8"].CopyFrom(signatures["conv2d"])
        signatures["uint8"].inputs["x0"].dtype = 4
        signatures["flat"].CopyFrom(signatures["conv2d"])
        del signatures["flat"].inputs["x0"].tensor_shape.dim[2:]
        signatures["missing"].CopyFrom(signatures["conv2d"])
        signatures["missing"].inputs["x0"].name = "there/is/none:0"
        signatures["passed_on"].CopyFrom(signatures["flat"])
        signatures["passed_on"].inputs["pool"].CopyFrom(signatures["pooling"].outputs["y"])

    model = load(changed(operator_models / "operators" / "1", tmp_path, declare), Config())
    image = np.ones((1, 6, 6, 3), np.float32)
    with pytest.raises(ServeError, match="to be float but uint8 is provided"):
        model.run("uint8", {"x0": image.astype(np.uint8)}, ["y"])
    assert model.run("uint8", {"x0": image}, ["y"])["y"].shape == (1, 6, 6, 2)
    with pytest.raises(ServeError, match="rank 4 but is rank 2"):
        model.run("flat", {"x0": image[0, 0]}, ["y"])
    with pytest.raises(ServeError, match="there/is/none:0"):
        model.run("missing", {"x0": image[0]}, ["y"])
    # The input `pool` is an output in the middle of the graph, whose node has no attribute with its dtype.
    with pytest.raises(ServeError, match="rank 4 but is rank 2"):
        model.run("passed_on", {"x0": image[0, 0], "pool": image}, ["y"])
    assert model.run("conv2d", {"x0": image}, ["y"])["y"].shape == (1, 6, 6, 2)
    model.close()


def test_a_tensor_that_has_no_dtype_attribute_can_be_fed(operator_models: Path, tmp_path: Path) -> None:
    """Such as the second output of an operator, or one between a convolution and its activation."""

    def declare(signatures: Any) -> None:
        for alias, name in (("a", "conv2d/Conv2D:0"), ("b", "top/TopKV2:1"), ("c", "unique/Unique:1")):
            signatures[alias].CopyFrom(signatures["conv2d"])
            signatures[alias].inputs["x0"].name = name

    path = changed(operator_models / "operators" / "1", tmp_path, declare)
    model = load(path, Config())
    assert model.preparation is not None
    assert not model.preparation.reason
    image = np.ones((1, 6, 6, 3), np.float32)
    assert model.run("conv2d", {"x0": image}, ["y"])["y"].shape == (1, 6, 6, 2)
    assert model.run("a", {"x0": image}, ["y"])["y"].tolist() == (image + 1).tolist()
    model.close()


def test_an_error_of_any_kind_ends_the_version_in_words(operator_models: Path, tmp_path: Path) -> None:
    path = changed(operator_models / "pooled" / "1", tmp_path, lambda _: None, filename_tensor="none:0")
    with pytest.raises(ServeError, match="none:0"):
        load(path, Config())


@pytest.mark.parametrize("caller", ["while_body", "while_cond", "signature_wrapper_loop"])
def test_a_function_that_calls_itself_without_end_is_refused(
    caller: str, operator_models: Path, tmp_path: Path
) -> None:
    """TensorFlow inlines it until the stack overflows, or takes all memory."""

    def recurse(functions: Any) -> None:
        function = next(each for each in functions if caller in each.signature.name)
        call = function.node_def.add(name="again", op="PartitionedCall")
        call.attr["f"].func.name = function.signature.name
        for argument in function.signature.input_arg:
            call.input.append(argument.name)
            call.attr["Tin"].list.type.append(argument.type)
        for number, output in enumerate(function.signature.output_arg):
            call.attr["Tout"].list.type.append(output.type)
            function.ret[output.name] = f"again:output:{number}"

    path = shutil.copytree(operator_models / "pooled" / "1", tmp_path / "1")
    saved_model = wire.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    recurse(saved_model.meta_graphs[0].graph_def.library.function)
    (path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    with pytest.raises(ServeError, match=f"The function .*{caller}.* calls itself without end"):
        load(path, Config())


def changed(source: Path, folder: Path, change: Callable[[Any], None], *, filename_tensor: str = "") -> Path:
    """A copy of the version with other signatures, or with another `filename_tensor_name`."""
    target = shutil.copytree(source, folder / "1")
    file = target / "saved_model.pb"
    saved_model = wire.SavedModel.FromString(file.read_bytes())
    meta_graph = saved_model.meta_graphs[0]
    change(meta_graph.signature_def)
    if filename_tensor:
        meta_graph.saver_def.filename_tensor_name = filename_tensor
    file.write_bytes(saved_model.SerializeToString())
    return target
