"""SavedModels that were changed at random end AVAILABLE, or at END with a reason; the server answers all the while.

TFX_EXPORT_MUTANTS is how many there are, and TFX_EXPORT_SEED picks others.
"""

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.fronts import one_front
from tests.support.server import RunningServer, publish, wait_until
from tfx_export.client import ServerError

MUTANTS = int(os.environ.get("TFX_EXPORT_MUTANTS", "16"))
SEED = int(os.environ.get("TFX_EXPORT_SEED", "15"))
X = {"x": np.array([1.0], np.float32)}
A = {"a": np.array([1.0], np.float32)}
SOURCES = ("sparse_input", "huge_shape", "two_ranks", "ragged_output", "tapped")


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * MUTANTS)
@one_front
def test_mutated_models_end_in_a_state(
    start_server: Callable[..., RunningServer], built: Callable[[str], Path], served_models: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    publish(served_models / "plus" / "1", models / "good")
    for number in range(MUTANTS):
        chance = random.Random(f"{SEED} {number}")
        version = models / f"mutant{number}" / "1"
        shutil.copytree(built("tests.support.odd_models") / chance.choice(SOURCES) / "1", version)
        mutate(version / "saved_model.pb", chance)
    server = start_server(
        str(models),
        "--watch",
        f"--prepared_dir={tmp_path / 'prepared'}",
        f"--max_prepare_bytes={2 << 30}",
        "--num_load_threads=2",
    )
    for number in range(MUTANTS):
        name = f"mutant{number}"
        wait_until(lambda name=name: settled(server, name), 60 + 10 * MUTANTS)  # type: ignore[misc]
        with server.client as client:
            (status,) = client.status(name)
            assert status.state == "AVAILABLE" or status.error, name
            with contextlib.suppress(ServerError, ValueError):
                client.predict(name, A)
            assert client.predict("good", X)["y"].tolist() == [2.0]
    assert server.process.poll() is None


def settled(server: RunningServer, name: str) -> bool:
    return server.states(name).get(1) in ("AVAILABLE", "END")


def mutate(file: Path, chance: random.Random) -> None:
    """Changes one to three things in a SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    meta_graph = saved_model.meta_graphs[0]
    for _ in range(chance.randint(1, 3)):
        chance.choice((change_signature, change_node))(meta_graph, chance)
    content = bytearray(saved_model.SerializeToString())
    if chance.random() < 0.15:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def change_signature(meta_graph: Any, chance: random.Random) -> None:
    signature = meta_graph.signature_def[chance.choice(sorted(meta_graph.signature_def))]
    tensors = chance.choice((signature.inputs, signature.outputs))
    if not tensors:
        return
    alias = chance.choice(sorted(tensors))
    info = tensors[alias]
    match chance.randrange(6):
        case 0:
            info.name = f"{chance.choice(meta_graph.graph_def.node).name}:{chance.randint(0, 2)}"
        case 1:
            info.dtype = chance.randint(0, 30)
        case 2:
            info.tensor_shape.dim.add(size=chance.choice((-1, 0, 1, 1 << 20, 1 << 40, -5)))
        case 3:
            info.tensor_shape.unknown_rank = True
        case 4:
            del tensors[alias]
        case 5:
            info.name = chance.choice(("", ":", "x:-1", "\u2603:0", "there/is/none:0"))


def change_node(meta_graph: Any, chance: random.Random) -> None:
    nodes = meta_graph.graph_def.node
    node = chance.choice(nodes)
    match chance.randrange(6):
        case 0:
            nodes.remove(node)
        case 1:
            node.op = chance.choice(nodes).op
        case 2 if node.input:
            node.input[chance.randrange(len(node.input))] = chance.choice(nodes).name
        case 3 if node.attr:
            node.attr[chance.choice(sorted(node.attr))].type = chance.randint(0, 30)
        case 4 if "shape" in node.attr:
            node.attr["shape"].shape.dim.add(size=chance.choice((-1, 0, 1 << 20, 1 << 40)))
        case 5:
            node.name = chance.choice(nodes).name
