"""A spec file is read completely, or refused with position and fix. This does not need TensorFlow."""

import subprocess
import sys
from pathlib import Path

import pytest

from tfx_export.errors import SpecError
from tfx_export.exporting.spec import from_yaml
from tfx_export.exporting.spec.from_flags import SignatureFlags
from tfx_export.exporting.spec.from_yaml import read_spec
from tfx_export.exporting.spec.merge import spec_from_command
from tfx_export.exporting.spec.model import FeatureSpec, ImageSpec, InputSpec, SignatureSpec, default_of

WHOLE = """
default: b
tags: [serve, gpu]
assets: [vocabulary.txt]
as_text: true
clear_devices: false
signatures:
  a:
    inputs: {x: y, u: {source: v, dtype: uint8, shape: [null, 3]}}
    outputs: {scores: dense}
    labels: labels.txt
    top_k: 3
  b:
    method: classify
    features:
      f: {input: x, kind: varlen, dtype: string, default: ""}
  c:
    method: image
    image: {size: [2, 3], scale: -1-1, mean: [1, 2.5]}
"""


def test_a_complete_spec_is_read(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(WHOLE)
    spec = read_spec(tmp_path / "spec.yaml")
    assert spec.signatures == (
        SignatureSpec(
            "a",
            inputs={"x": InputSpec("y"), "u": InputSpec("v", "uint8", (None, 3))},
            outputs={"scores": "dense"},
            labels=tmp_path / "labels.txt",
            top_k=3,
        ),
        SignatureSpec("b", "classify", features=(FeatureSpec("f", "x", "varlen", "string", default=""),)),
        SignatureSpec("c", image=ImageSpec(size=(2, 3), scale="-1-1", mean=(1.0, 2.5))),
    )
    assert (spec.tags, spec.assets) == (("serve", "gpu"), (tmp_path / "vocabulary.txt",))
    assert (spec.as_text, spec.clear_devices, spec.strip_default_attrs) == (True, False, True)
    assert default_of(spec) == "b"


REFUSED = {
    "signatures: {a: {metod: predict}}": "signatures.a has the unknown key 'metod'; did you mean 'method'",
    "signature: {a: {}}": "the spec has the unknown key 'signature'; did you mean 'signatures'",
    "signatures: {a: {method: clasify}}": "'clasify' is not known; did you mean 'classify'",
    "signatures: {a: {}}\ndefault: b": "there is no signature 'b'",
    "signatures: {a: {}, a: {}}": "line 1, column 21: the key 'a' appears twice",
    "signatures: [a": "line 1, column 15",
    "signatures: [a]": "signatures must hold keys and values",
    "tags: [serve]": "has no signatures",
    "": "has no signatures",
    "just text": "the spec must hold keys and values",
    "signatures: {a: {top_k: many}}": "signatures.a.top_k must be a whole number",
    "signatures: {a: {inputs: {x: {dtype: uint8}}}}": "signatures.a.inputs.x lacks source",
    "signatures: {a: {image: {size: [3]}}}": r"signatures.a.image.size is \[height, width\]",
    "signatures: {a: {features: {f: {kind: fixd}}}}": "did you mean 'fixed'",
    "signatures: {a: {outputs: {x: 3}}}": "signatures.a.outputs.x must be the name of an output",
    "signatures: {a: {outputs: {x: {argmix: y}}}}": "did you mean 'argmax'",
    "signatures: {a: {outputs: {x: {}}}}": "signatures.a.outputs.x must be the name of an output",
    "signatures: {a: {}}\nas_text: 1": "as_text must be true or false",
    "signatures: {a: {}}\ntags: serve": "the spec.tags must be a list",
}


@pytest.mark.parametrize("text", REFUSED)
def test_an_error_in_a_spec_is_reported_with_its_position(tmp_path: Path, text: str) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecError, match=REFUSED[text]):
        read_spec(tmp_path / "spec.yaml")


@pytest.mark.parametrize(("content", "message"), [(None, "There is no spec file"), (b"\xff\xfe\x00", "not UTF-8 text")])
def test_a_missing_or_binary_spec_file_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content:
        (tmp_path / "spec.yaml").write_bytes(content)
    with pytest.raises(SpecError, match=message):
        read_spec(tmp_path / "spec.yaml")


def test_flags_give_specs_for_the_common_cases() -> None:
    spec = SignatureFlags(("predict", "top=classify", "image"), Path("l.txt"), 3, "resnet50", (8, 9)).spec()
    assert spec.signatures == (
        SignatureSpec("predict"),
        SignatureSpec("top", "classify", labels=Path("l.txt"), top_k=3),
        SignatureSpec("image", image=ImageSpec(scale="resnet50", size=(8, 9)), labels=Path("l.txt"), top_k=3),
    )
    assert SignatureFlags().spec().signatures == ()
    assert SignatureFlags(top_k=2).spec().signatures == (SignatureSpec("serving_default", top_k=2),)


@pytest.mark.parametrize(
    ("flags", "spec_file", "message"),
    [
        (SignatureFlags(("serve",)), None, "Kinds: predict, classify, regress, image"),
        (SignatureFlags(("predict", "predict")), None, "Two signatures have the same name"),
        (SignatureFlags(image_scale="0-1"), None, "need an image signature"),
        (SignatureFlags(("regress",), top_k=3), None, "need a signature that scores classes"),
        (SignatureFlags(("predict",)), Path("spec.yaml"), "not from both"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags: SignatureFlags, spec_file: Path | None, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec_from_command(spec_file, flags)


def test_specs_do_not_import_tensorflow() -> None:
    code = "import sys, tfx_export.exporting.spec.from_flags; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "key", sorted({*from_yaml._TOP, *from_yaml._SIGNATURE, *from_yaml._FEATURE, *from_yaml._IMAGE})
)
def test_each_key_is_documented(key: str) -> None:
    assert f"`{key}`" in (Path(__file__).parents[2] / "docs" / "signatures.md").read_text()
