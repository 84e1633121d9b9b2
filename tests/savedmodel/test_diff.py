"""Each kind of change to a signature is classified as breaking or compatible; whole SavedModels are compared."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import tfx_export
from tfx_export.savedmodel.diff import signature_changes
from tfx_export.savedmodel.signature import CLASSIFY, PREDICT, Shape, Signature, TensorSpec


def tensor(dtype: str = "DT_FLOAT", shape: Shape | None = (None, 3)) -> TensorSpec:
    return TensorSpec("t:0", dtype, shape)


def one_signature(**changes: Any) -> dict[str, Signature]:
    parts = {
        "method": PREDICT,
        "inputs": {"x": tensor(), "k": tensor(shape=())},
        "outputs": {"y": tensor(), "z": tensor()},
        "defaults": {},
        **changes,
    }
    return {"s": Signature("s", **parts)}


X, K = {"x": tensor()}, {"k": tensor(shape=())}
Y, Z = {"y": tensor()}, {"z": tensor()}
CASES: dict[str, tuple[dict[str, Signature], dict[str, Signature], dict[str, str]]] = {
    "nothing changed": (one_signature(), one_signature(), {}),
    "signature removed": (one_signature(), {}, {"s": "breaking"}),
    "signature added": ({}, one_signature(), {"s": "compatible"}),
    "method": (one_signature(), one_signature(method=CLASSIFY), {"s": "breaking"}),
    "input removed": (one_signature(), one_signature(inputs=X), {"s input k": "breaking"}),
    "required input added": (
        one_signature(inputs=K | {"a": tensor()}),
        one_signature(inputs=K | X | {"a": tensor()}),
        {"s input x": "breaking"},
    ),
    "optional input added": (
        one_signature(),
        one_signature(inputs=X | K | {"o": tensor()}, defaults={"o": 1}),
        {"s input o": "compatible"},
    ),
    "input becomes required": (one_signature(defaults={"k": 1}), one_signature(), {"s input k": "breaking"}),
    "input becomes optional": (one_signature(), one_signature(defaults={"k": 1}), {"s input k": "compatible"}),
    "different default": (
        one_signature(defaults={"k": 1}),
        one_signature(defaults={"k": 2}),
        {"s input k": "breaking"},
    ),
    "input dtype": (one_signature(), one_signature(inputs=K | {"x": tensor("DT_INT64")}), {"s input x": "breaking"}),
    "input accepts fewer shapes": (
        one_signature(),
        one_signature(inputs=K | {"x": tensor(shape=(1, 3))}),
        {"s input x": "breaking"},
    ),
    "input accepts more shapes": (
        one_signature(),
        one_signature(inputs=K | {"x": tensor(shape=(None, None))}),
        {"s input x": "compatible"},
    ),
    "input accepts any shape": (
        one_signature(),
        one_signature(inputs=K | {"x": tensor(shape=None)}),
        {"s input x": "compatible"},
    ),
    "input rank": (
        one_signature(),
        one_signature(inputs=K | {"x": tensor(shape=(None, 3, 1))}),
        {"s input x": "breaking"},
    ),
    "output removed": (one_signature(), one_signature(outputs=Y), {"s output z": "breaking"}),
    "output added": (one_signature(), one_signature(outputs=Y | Z | {"a": tensor()}), {"s output a": "compatible"}),
    "output dtype": (
        one_signature(),
        one_signature(outputs=Y | {"z": tensor("DT_DOUBLE")}),
        {"s output z": "breaking"},
    ),
    "output returns fewer shapes": (
        one_signature(),
        one_signature(outputs=Y | {"z": tensor(shape=(1, 3))}),
        {"s output z": "compatible"},
    ),
    "output returns more shapes": (
        one_signature(),
        one_signature(outputs=Y | {"z": tensor(shape=(None, None))}),
        {"s output z": "breaking"},
    ),
    "second output added": (one_signature(outputs=Y), one_signature(), {"s output z": "compatible", "s": "breaking"}),
    "second optional input added": (
        one_signature(inputs=X),
        one_signature(defaults={"k": 1}),
        {"s input k": "compatible", "s": "breaking"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_change_gets_its_verdict(case: str) -> None:
    old, new, expected = CASES[case]
    assert {change.where: change.verdict for change in signature_changes(old, new)} == expected


@pytest.mark.parametrize(
    ("a", "b", "code", "message"),
    [
        ("tf1_linear", "tf1_linear", 0, "equal for clients"),
        ("tf2_unsigned", "tf2_polymorphic", 0, "any: is new"),
        ("tf2_polymorphic", "tf2_unsigned", 1, "BREAKING    any: is gone"),
        ("tf1_tag_sets", "tf1_linear", 1, "BREAKING    tag set gpu,serve: is gone"),
        ("keras3_export", "keras2_saved", 1, "BREAKING    serve: is gone"),
        ("tf1_linear", "nothing", 2, "nothing does not exist"),
    ],
)
def test_the_exit_code_shows_whether_a_change_is_breaking(
    a: str, b: str, code: int, message: str, saved_models: Path
) -> None:
    done = tfx_export("diff", saved_models / a, saved_models / b, code=code)
    assert message in done.stdout + done.stderr


def test_changes_of_ops_and_sizes_are_notes_in_the_json_output(saved_models: Path) -> None:
    done = tfx_export("diff", saved_models / "tf2_unsigned", saved_models / "tf2_polymorphic", "--json")
    document = json.loads(done.stdout)
    assert document["verdict"] == "compatible"
    notes = {change["where"]: change["what"] for change in document["changes"] if change["verdict"] == "note"}
    assert "PartitionedCall" in notes["ops"]
    assert "size" in notes


def test_a_single_tag_set_can_be_compared(saved_models: Path) -> None:
    tags = ("--tag_set", "serve")
    done = tfx_export("diff", saved_models / "tf1_tag_sets", saved_models / "tf1_linear", *tags, code=1)
    assert "tag set" not in done.stdout
    assert "regression: is gone" in done.stdout
    same = ("diff", saved_models / "tf1_tag_sets", saved_models / "tf1_tag_sets")
    assert "Tag sets: serve; gpu,serve; train" in tfx_export(*same, "--tag-set", "gpu", code=2).stderr
