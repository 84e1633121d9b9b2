"""A model with an operator that TensorFlow does not have: rejected with a hint at the flag, served with that flag."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import tfx_export
from tests.support.fronts import in_memory_only
from tests.support.server import RunningServer, Server, starting

X = [[0.5, 2.0]]


@pytest.fixture(scope="session")
def custom_op(built: Callable[[str], Path]) -> Path:
    """The folder that tests/support/custom_op.py fills. Compiling takes about 20 seconds."""
    if shutil.which("g++") is None:
        pytest.skip("g++, which compiles the op, is not installed")
    return built("tests.support.custom_op")


@pytest.mark.slow
@in_memory_only
def test_without_its_library_the_version_is_rejected(
    custom_op: Path, served_models: Path, tmp_path: Path, start_any_server: Callable[..., Server]
) -> None:
    shutil.copytree(custom_op / "triple", tmp_path / "triple")
    shutil.copytree(served_models / "plus" / "1", tmp_path / "plus" / "1")
    server = start_any_server(str(tmp_path))
    with server.client as client:
        (version,) = client.status("triple")
        assert [each.state for each in client.status("plus")] == ["AVAILABLE"]
    assert version.state == "END"
    assert version.error.startswith("Op type not registered 'Triple'")
    assert version.error.endswith(
        ". Load the library or module that defines it: --op_library=FILE.so, or --import=MODULE"
    )


@pytest.mark.slow
def test_with_its_library_the_model_is_served(custom_op: Path, start_server: Callable[..., RunningServer]) -> None:
    server = start_server(str(custom_op / "triple"), f"--op_library={custom_op / 'triple.so'}")
    with server.client as client:
        answer = client.predict("triple", {"x": np.array(X[0], np.float32)})
    assert answer["y"].tolist() == [1.5, 6.0]
    reply = server.post("/v1/models/triple:predict", {"inputs": {"x": X}})
    assert (reply.status, reply.json) == (200, {"outputs": [[1.5, 6.0]]})


@pytest.mark.slow
def test_commands_load_the_library_too(custom_op: Path, tmp_path: Path) -> None:
    model, flag = custom_op / "triple" / "1", f"--op-library={custom_op / 'triple.so'}"
    typed: list[str | Path] = ["savedmodel", model, "--out", tmp_path / "m"]
    assert "Load the library or module that defines it: --op-library=FILE.so" in tfx_export(*typed, code=2).stderr
    assert "equal" in tfx_export(*typed, flag).stdout
    (tmp_path / "registers_triple.py").write_text(
        f"import tensorflow as tf; tf.load_op_library({str(custom_op / 'triple.so')!r})"
    )
    run: list[str | Path] = ["run", tmp_path / "m" / "1", "--input_exprs", "x=[2.0]", "--json"]
    assert '{"y": [6.0]}' in tfx_export(*run, "--import=registers_triple", folder=tmp_path).stdout
    assert "serve" in tfx_export("show", tmp_path / "m" / "1", flag).stdout


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--op_library=no.so", "--op-library=no.so: there is no such file"),
        ("--import=no_such_module", "--import=no_such_module: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_command_says_which_library_or_module_does_not_load(served_models: Path, flag: str, text: str) -> None:
    typed: list[str | Path] = ["savedmodel", served_models / "plus" / "1", "--out", "m", flag]
    assert text in tfx_export(*typed, code=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--op_library=/no/such.so", "--op_library=/no/such.so: /no/such.so: cannot open shared object file"),
        ("--import=no_such_module", "--import=no_such_module: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_library_or_module_that_does_not_load_fails_the_start(
    served_models: Path, tmp_path: Path, flag: str, text: str
) -> None:
    with starting(tmp_path, str(served_models / "plus"), flag) as (process, _, log):
        assert process.wait(60) == 1
        assert f": {text}" in log.read_text()
        assert "Traceback" not in log.read_text()
