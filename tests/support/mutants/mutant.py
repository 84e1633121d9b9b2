"""Mutants: SavedModels that were changed at random.

Every third mutant has up to ten changed signatures, which are sent requests one by one, and a graph that is as it was.
The others have a changed graph, function library, collection, variables file or other file. The same seed and number
make the same mutant.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from google.protobuf import text_format

from tests.support.built_models import build
from tests.support.mutants.files import FILE_CHANGES, replace
from tests.support.mutants.graphs import CHANGES, WHOLE, drop_inferred_shapes
from tests.support.mutants.signatures import change_signatures

# Program -> the models that it writes, with their versions.
SOURCES = {
    "tests.support.odd_models": (
        *("sparse_input", "huge_shape", "large_volume", "no_signatures", "echo", "tapped", "two_ranks", "wrong_names"),
        *("ragged_output", "sparse_output"),
    ),
    "tests.support.served_models": (
        *("half_plus_two", "counter", "words", "image", "hidden", "slow", "defaulted", "pictures"),
    ),
    "tests.support.operator_models": (
        *("operators", "operators", "operators", "functions", "functions", "weights", "pooled", "counted"),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """A version folder that was changed. `count` is the number of mutants it stands for."""

    folder: Path
    source: str
    changes: tuple[str, ...]
    count: int


def write(seed: int, number: int, folder: Path) -> Mutant:
    """Writes the mutant to the new folder `folder`."""
    chance = Random(f"{seed} {number}")
    program = chance.choice(sorted(SOURCES))
    source = chance.choice(SOURCES[program])
    original = build(program) / source / "1"
    shutil.copytree(original, folder, copy_function=_link)
    (folder / "model.tflite").unlink(missing_ok=True)
    file = next(file for file in (folder / "saved_model.pb", folder / "saved_model.pbtxt") if file.exists())
    saved_model = _read(file)
    meta_graph = saved_model.meta_graphs[0]
    if number % 3 == 0 and meta_graph.signature_def:
        count = change_signatures(meta_graph, chance)
        changes = [f"{count} signatures"]
    else:
        count, changes = 1, []
        if chance.random() < 0.5:
            drop_inferred_shapes(meta_graph)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            change = chance.choice(CHANGES)
            changes.append(change.__name__)
            change(saved_model if change in WHOLE else saved_model.meta_graphs[0], chance)
            if not saved_model.meta_graphs:
                break
    replace(file, _written(saved_model, file))
    if number % 3 and chance.random() < 0.2:
        change_file = chance.choice(FILE_CHANGES)
        changes.append(change_file.__name__)
        change_file(folder, chance)
    return Mutant(folder, f"{program}:{source}", tuple(changes), count)


def _link(source: str, target: str) -> None:
    """Makes a link, because the weights are large; a file that is changed is replaced."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy(source, target)


def _read(file: Path) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    if file.suffix == ".pb":
        return saved_model_pb2.SavedModel.FromString(file.read_bytes())
    return text_format.Parse(file.read_bytes(), saved_model_pb2.SavedModel())


def _written(saved_model: Any, file: Path) -> bytes:
    if file.suffix == ".pb":
        return bytes(saved_model.SerializeToString(deterministic=True))
    return text_format.MessageToString(saved_model).encode()
