"""A segmentation network as in the public DeepLab walk-through: `images` is a tensor behind a reshape by the sizes.

The server answers as a session does, if the SavedModel comes from SavedModelBuilder and if it comes from our exporter.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import tf1_models
from tests.support.protocols import GrpcClient, JsonClient, PredictClient, ProtobufClient, Target
from tests.support.server import RunningServer, running
from tests.support.tf1_models import TAPPED
from tfx_export import export_session
from tfx_export.exporting.job import Extras

OUTPUTS = {"segmentation_map": "segmentation_map:0"}
IMAGES = np.random.default_rng(5).integers(0, 256, (1, 17, 23, 3)).astype(np.uint8)
CLIENTS: dict[str, Callable[[RunningServer], PredictClient]] = {
    "grpc": lambda server: GrpcClient(server, as_content=False),
    "rows": lambda server: JsonClient(server, row_format=True),
    "columns": lambda server: JsonClient(server, row_format=False),
    "protobuf": ProtobufClient,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segmenters")
    tf1_models.save_with_builder(folder / "builder" / "1", tf1_models.tapped_segmenter, TAPPED, OUTPUTS)
    meta = tf1_models.save_checkpoint(tmp_path_factory.mktemp("training"), tf1_models.tapped_segmenter)
    export_session(meta, folder / "exported", inputs=TAPPED, outputs=OUTPUTS, extras=Extras(verify=False))
    return folder


@pytest.fixture(scope="module")
def segmenters(front: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("server"), f"--model_base_path={models}", f"--front={front}") as server:
        yield server


# A row holds one size, which makes the shape [1].
@pytest.mark.parametrize(
    ("protocol", "rank"), [*((name, 1) for name in CLIENTS), *((name, 0) for name in CLIENTS if name != "rows")]
)
@pytest.mark.parametrize("model", ["builder", "exported"])
def test_the_server_answers_as_a_session_does(segmenters: RunningServer, model: str, protocol: str, rank: int) -> None:
    shape = (1,) * rank
    sizes = {"height": np.full(shape, 17, np.int32), "width": np.full(shape, 23, np.int32)}
    feeds = {"images:0": IMAGES, **{f"{name}:0": size for name, size in sizes.items()}}
    (expected,) = tf1_models.answers(tf1_models.tapped_segmenter, OUTPUTS, feeds).values()
    (answer,) = CLIENTS[protocol](segmenters).predict(Target(model), {"images": IMAGES, **sizes}).values()
    np.testing.assert_array_equal(answer, expected)
    assert len(np.unique(expected)) > 1
