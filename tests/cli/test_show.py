"""`tfx-export show` prints the text of `saved_model_cli show`, and more where that fails, without TensorFlow."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import tfx_export
from tests.support.terminal import on_a_terminal

# The tag sets and a signature of each model.
MODELS = {
    "tf1_linear": (["serve"], "serving_default"),
    "tf1_tag_sets": (["serve", "gpu,serve", "train"], "regression"),
    "tf1_sparse": (["serve"], "serving_default"),
    "tf1_text": (["serve"], "labels"),
    "tf2_polymorphic": (["serve"], "any"),
    "tf2_unsigned": (["serve"], "__saved_model_init_op"),
    "tf2_bare": (["serve"], "serving_default"),
    "tf2_scalars": (["serve"], "serving_default"),
    "keras3_export": (["serve"], "serve"),
    "keras3_sequential": (["serve"], "serving_default"),
    "keras2_saved": (["serve"], "serving_default"),
    "keras2_lstm": (["serve"], "serving_default"),
}
COMMANDS = [
    [model, *options]
    for model, (tag_sets, signature) in MODELS.items()
    for options in (
        ["--all"],
        [],
        *(["--tag_set", tags] for tags in tag_sets),
        *(["--tag_set", tags, "--signature_def", signature] for tags in tag_sets),
        ["--tag_set", tag_sets[-1], "--list_ops"],
    )
]


@pytest.fixture(scope="session")
def expected(saved_models: Path) -> dict[str, str]:
    """The output of TensorFlow's saved_model_cli for each of COMMANDS."""
    commands = [["show", "--dir", str(saved_models / model), *options] for model, *options in COMMANDS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.saved_model_cli_outputs", json.dumps(commands)],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(map(" ".join, COMMANDS), json.loads(done.stdout), strict=True))


def ordered(text: str) -> str:
    """Returns `text` with sorted ops and dictionaries, which saved_model_cli prints in random order."""
    text = re.sub(r"(?<=following ops: \{)(.*)(?=\})", lambda ops: ", ".join(sorted(ops[0].split(", "))), text)
    return re.sub(
        r"(?<=Value: \{)(.*)(?=, \x08\x08\})", lambda items: ", ".join(sorted(re.split(r", (?=')", items[0]))), text
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_text_equals_that_of_saved_model_cli(
    command: list[str], saved_models: Path, expected: dict[str, str]
) -> None:
    model, *options = command
    answer = tfx_export("show", "--dir", saved_models / model, *options).stdout
    wanted = expected[" ".join(command)]
    assert len(wanted) > 20
    assert ordered(answer) == ordered(wanted)


def test_no_framework_is_imported(saved_models: Path) -> None:
    program = (
        "import sys; from tfx_export.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "show", "--dir", str(saved_models / "keras3_export"), "--all"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Concrete Functions" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("options", [["--signature_def", "serving_default"], ["--list-ops"]], ids=" ".join)
def test_a_single_tag_set_need_not_be_given(options: list[str], saved_models: Path) -> None:
    folder = saved_models / "tf1_linear"
    assert tfx_export("show", folder, *options).stdout == tfx_export("show", folder, "--tag-set=serve", *options).stdout


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("tf1_tag_sets", ["--signature_def", "raw"], ["Tag sets: serve; gpu,serve; train", "--tag_set serve"]),
        ("tf1_tag_sets", ["--tag_set", "gpu"], ["no tag set 'gpu'", "gpu,serve"]),
        (
            "tf1_linear",
            ["--signature_def", "serving_defualt"],
            ["Signatures: serving_default", "--signature_def serving_default"],
        ),
        ("nothing", [], ["nothing does not exist", " holds: "]),
    ],
)
def test_the_error_for_a_wrong_name_lists_the_existing_ones(
    model: str, options: list[str], says: list[str], saved_models: Path
) -> None:
    done = tfx_export("show", "--dir", saved_models / model, *options, code=2)
    assert done.stdout == ""
    for text in says:
        assert text in done.stderr


@pytest.mark.parametrize(
    "content", [b"", b"not a protobuf at all", b"\x0a\xff\xff\xff\xff"], ids=["empty", "text", "cut"]
)
def test_a_damaged_file_is_reported(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    assert str(tmp_path) in tfx_export("show", "--dir", tmp_path, code=2).stderr


def test_usage_is_shown_without_a_folder() -> None:
    assert "--dir models/NAME/VERSION" in tfx_export("show", code=2).stderr


@pytest.fixture
def versions(saved_models: Path, tmp_path: Path) -> Path:
    """A model with the versions 1, 2 and 10, of which 10 is broken, and a folder that is not a version."""
    shutil.copytree(saved_models / "tf1_linear", tmp_path / "1")
    shutil.copytree(saved_models / "tf1_text", tmp_path / "2")
    (tmp_path / "10").mkdir()
    (tmp_path / "tmp-3").mkdir()
    return tmp_path


def test_a_model_folder_shows_its_versions_newest_first(versions: Path) -> None:
    listing = tfx_export("show", versions).stdout
    lines = re.findall(r"^ *(\d+)  \d{4}-\d\d-\d\d [\d:]+ +(.*)$", listing, re.MULTILINE)
    assert [number for number, _ in lines] == ["10", "2", "1"]
    assert "not a valid SavedModel" in lines[0][1]
    assert "labels (predict)" in lines[1][1]
    entries = json.loads(tfx_export("show", versions, "--json").stdout)
    assert [entry["version"] for entry in entries] == [10, 2, 1]


def test_options_with_a_model_folder_show_its_newest_version(versions: Path) -> None:
    shutil.rmtree(versions / "10")
    done = tfx_export("show", versions, "--signature_def", "labels")
    assert "label:0" in done.stdout
    assert "newest version is 2" in done.stderr


def test_the_json_output_has_the_content_of_the_text(saved_models: Path) -> None:
    document = json.loads(tfx_export("show", saved_models / "tf1_linear", "--json", "--all").stdout)
    (graph,) = document["meta_graphs"]
    signature = graph["signatures"]["serving_default"]
    assert graph["tags"] == ["serve"]
    assert "MatMul" in graph["ops"]
    assert signature["method"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"] == {"dtype": "DT_FLOAT", "shape": [None, 3], "tensor": "x:0", "encoding": "dense"}
    assert signature["inputs"]["scale"]["shape"] == []
    assert signature["optional"] == ["scale"]
    assert document["total_bytes"] > document["variable_bytes"] > 0


def test_a_tree_is_shown_on_a_terminal(saved_models: Path) -> None:
    text = on_a_terminal("show", saved_models / "tf1_linear", "--all")
    assert "└── tag set serve" in text
    assert re.search(r"→ x +float \[\?, 3\]", text)
    assert "optional" in text
