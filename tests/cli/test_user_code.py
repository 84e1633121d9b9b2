"""Code of the user that fails or ends the program: one message and exit code 2, whatever it raises."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.support import keras_models
from tfx_export.cli import main

MODULES = {
    "functions": """
        import sys

        import numpy as np
        import tensorflow as tf

        SPEC = [tf.TensorSpec([None], tf.float32, name="x")]
        NUMBER = 5

        def fails(x):
            raise RuntimeError("bad day")

        @tf.function(input_signature=SPEC)
        def fails_in_autograph(x):
            if tf.reduce_sum(x) > 0:
                raise ValueError("bad day")
            return x

        def exits(x):
            sys.exit(3)

        def interrupts(x):
            raise KeyboardInterrupt

        @tf.function(input_signature=SPEC)
        def nothing(x):
            return None

        def nothing_in_a_dict(x):
            return {"y": None}

        def no_tensor(x):
            return object()

        def same_name(x):
            return {"a_b": x, "a": {"b": 2 * x}}

        def dataset(x):
            return tf.data.Dataset.from_tensors(1)

        def numpy_code(x):
            found = tf.numpy_function(np.sin, [x], tf.float32, name="sine")
            found.set_shape(x.shape)
            return found

        def numpy_code_in_a_loop(x):
            return tf.map_fn(lambda row: tf.py_function(lambda value: value, [row], tf.float32), x)

        class Late:
            @property
            def attribute(self):
                sys.exit(4)

        late = Late()
        """,
    "exits": "import sys; sys.exit(5)",
    "interrupts": "raise KeyboardInterrupt",
    "fails": "raise type('Odd', (BaseException,), {})('odd')",
    "no_attribute": "import sys; sys.nothing",
    "no_module": "import absent_package",
}
PYTHON_CODE = "Error: Python code inside the graph cannot be exported: "


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"user_{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def message(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs the command, which must fail with exit code 2, and returns its message."""
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--out", "served"])
    assert exit_.value.code == 2
    assert not Path("served").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        ("functions:fails", "user_functions:fails raised RuntimeError: bad day (user_functions.py, line 11)."),
        ("functions:fails_in_autograph", "raised ValueError: bad day (user_functions.py, line 16)."),
        ("functions:exits", "raised SystemExit: 3 (user_functions.py, line 20)."),
        ("functions:nothing", "user_functions:nothing returns nothing, so there is no output to serve."),
        ("functions:nothing_in_a_dict", "returns nothing"),
        ("functions:no_tensor", "returns an object of type object, which is not a tensor."),
        ("functions:same_name", "returns two outputs that would be named 'a_b'."),
        ("functions:dataset", "The output 'output' of user_functions:dataset is not a tensor of values"),
        ("functions:numpy_code", f"{PYTHON_CODE}sine."),
        ("functions:numpy_code_in_a_loop", f"{PYTHON_CODE}map/while/EagerPyFunc."),
        ("functions:late.attribute", "Importing user_functions failed: SystemExit: 4"),
        ("functions:late.other", "user_functions has no 'late.other'.\nIt has: attribute"),
        ("exits:f", "Importing user_exits failed: SystemExit: 5\nA script that runs its program on import needs: if"),
        ("fails:f", "Importing user_fails failed: Odd: odd"),
        ("no_attribute:f", "Importing user_no_attribute failed: AttributeError: module 'sys' has no"),
        ("no_module:f", "Importing user_no_module failed: there is no module 'absent_package'."),
    ],
)
def test_a_function_that_cannot_be_exported(
    folder: Path, capsys: pytest.CaptureFixture[str], reference: str, wanted: str
) -> None:
    inputs = [] if reference in ("functions:nothing", "functions:fails_in_autograph") else ["--input", "x=float32[?]"]
    assert wanted in message(capsys, "function", f"user_{reference}", *inputs)


def test_an_interrupt_that_code_raises_is_not_taken_for_ctrl_c(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--input", "x=float32[?]"]
    text = message(capsys, "function", "user_functions:interrupts", *given)
    assert "user_functions:interrupts raised KeyboardInterrupt (user_functions.py, line 23)." in text
    assert "Importing user_interrupts failed: KeyboardInterrupt" in message(capsys, "function", "user_interrupts:f")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--custom-objects", "user_exits:f"], "Importing user_exits failed: SystemExit: 5"),
        (
            ["--custom-objects", "user_functions:NUMBER"],
            "user_functions:NUMBER is of type int, not a class, a function",
        ),
        (["--replace-layer", "hidden=user_exits:f"], "Importing user_exits failed: SystemExit: 5"),
        (["--replace-layer", "hidden=user_functions:NUMBER"], "is of type int, not a layer class or a function."),
        (["--replace-layer", "hidden=user_functions:exits"], "Python code of the model raised SystemExit: 3, which"),
        (["--replace-layer", "hidden=user_functions:fails"], "keras cannot load m.keras: bad day\n"),
        (["--replace-layer", "scores=user_functions:numpy_code"], PYTHON_CODE),
    ],
)
def test_code_for_a_keras_model_that_fails(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], wanted: str
) -> None:
    keras_models.save("dense", "keras", folder / "m.keras")
    capsys.readouterr()
    assert wanted in message(capsys, "keras", "m.keras", *options)


def test_python_code_in_a_graph_and_in_a_saved_model_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tensorflow as tf

    def double(values: np.ndarray) -> np.ndarray:
        return values * 2

    with tf.Graph().as_default() as graph:
        given = tf.compat.v1.placeholder(tf.float32, [None], "x")
        tf.identity(tf.compat.v1.py_func(double, [given], tf.float32, name="doubled"), name="y")
    tf.io.write_graph(graph, str(folder), "frozen.pb", as_text=False)
    module = tf.Module()
    module.f = tf.function(
        lambda x: {"y": tf.map_fn(lambda row: tf.numpy_function(double, [row], tf.float32, name="doubled"), x)},
        input_signature=[tf.TensorSpec([None], tf.float32, name="x")],
    )
    tf.saved_model.save(module, str(folder / "saved"), signatures=module.f)
    for command in (["session", "frozen.pb", "--input", "x=x:0", "--output", "y=y:0"], ["savedmodel", "saved"]):
        text = message(capsys, *command)
        assert text.startswith(PYTHON_CODE)
        assert "doubled" in text
