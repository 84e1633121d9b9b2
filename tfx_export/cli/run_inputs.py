"""Reads the inputs of `tfx-export run` from its three options, without reading pickles or executing code."""

import ast
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tfx_export import wire
from tfx_export.cli.array_expression import evaluate
from tfx_export.errors import SpecError


def from_files(options: Sequence[str]) -> dict[str, object]:
    """Reads `x=data.npy` and `x=data.npz[key]` as arrays, and any other file as a batch of one string."""
    found: dict[str, object] = {}
    for key, text in _assignments("--inputs", options, "x=data.npz[key]"):
        match = re.fullmatch(r"(.+?)(?:\[([^\[\]]+)\])?", text)
        assert match
        found[key] = _load(Path(match[1]), match[2])
    return found


def from_expressions(options: Sequence[str]) -> dict[str, object]:
    """Evaluates `x=np.ones((2, 3))`; see `array_expression`."""
    return {key: evaluate(text) for key, text in _assignments("--input_exprs", options, "x=np.ones((2,3))")}


def from_examples(options: Sequence[str]) -> dict[str, object]:
    """Serializes tf.Examples from dictionaries: `inputs=[{"age": [22.0], "name": ["Ada"]}]`."""
    found: dict[str, object] = {}
    for key, text in _assignments("--input_examples", options, "inputs=[{'age':[22.0]}]"):
        try:
            examples = ast.literal_eval(text.strip())
        except (SyntaxError, ValueError) as error:
            raise SpecError(f"--input_examples {key}: {error}") from None
        if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
            raise SpecError(f"--input_examples {key} takes a list of dictionaries: [{{'age': [22.0]}}]")
        found[key] = [_example(example) for example in examples]
    return found


def _assignments(option: str, texts: Sequence[str], example: str) -> Iterator[tuple[str, str]]:
    for text in texts:
        for part in _split(text):
            key, equals, value = part.partition("=")
            if not (key.strip() and equals and value.strip()):
                raise SpecError(f"{option} takes NAME=VALUE, not {part!r}.", hint=f"For example: {option} '{example}'")
            yield key.strip(), value.strip()


def _split(text: str) -> list[str]:
    """Splits at semicolons outside quotes."""
    parts = re.findall(r"""(?:[^;'"]|'[^']*'|"[^"]*"|['"])+""", text)
    return [part for part in parts if part.strip()]


def _load(path: Path, name: str | None) -> np.ndarray | list[bytes]:
    try:
        with path.open("rb") as file:
            magic = file.read(6)
            file.seek(0)
            if magic.startswith((b"\x93NUMPY", b"PK\x03\x04")):
                return _array(path, np.load(file, allow_pickle=False), name)
            if name or path.suffix in (".npy", ".npz", ".pkl", ".pickle"):
                raise SpecError(
                    f"{path} is neither .npy nor .npz.", hint="Pickles are not read, because that would run code."
                )
            return [file.read()]
    except OSError as error:
        raise SpecError(f"Cannot read {path}: {error.strerror or error}.") from None
    except (BadZipFile, zlib.error, EOFError) as error:
        raise SpecError(f"{path} is damaged, perhaps by an incomplete copy: {error}.") from None
    except ValueError:
        raise SpecError(
            f"{path} does not hold plain arrays.", hint="Pickled objects are not read, because that would run code."
        ) from None


def _array(path: Path, data: "np.ndarray | np.lib.npyio.NpzFile", name: str | None) -> np.ndarray:
    """Returns the array of a .npy file, or the array `name` of an .npz file."""
    if isinstance(data, np.ndarray):
        return data
    names = list(data.files)
    if not names:
        raise SpecError(f"{path} holds no arrays.")
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        problem = f"has no array {name!r}" if name else "has several arrays"
        raise SpecError(f"{path} {problem}.", hint=f"Arrays: {', '.join(names)}. Type: KEY={path}[{names[0]}]")
    array: np.ndarray = data[name]
    return array


def _example(features: dict[str, object]) -> bytes:
    example = wire.Example()
    for name, values in features.items():
        feature = example.features.feature[name]
        if not isinstance(values, list):
            raise SpecError(f"The feature {name!r} needs a list: [{values!r}]")
        if all(isinstance(value, (str, bytes)) for value in values):
            feature.bytes_list.value.extend(value.encode() if isinstance(value, str) else value for value in values)
        elif all(isinstance(value, int) for value in values):
            feature.int64_list.value.extend(map(int, values))  # protobuf does not accept bool
        elif all(isinstance(value, (int, float)) for value in values):
            feature.float_list.value.extend(map(float, values))
        else:
            raise SpecError(f"The feature {name!r} mixes numbers and strings: {values!r}")
    return bytes(example.SerializeToString())
