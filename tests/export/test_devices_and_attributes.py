"""Devices of ops and attributes with default values are removed or kept, also inside functions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support import tf1_models
from tests.support.loaders import run_in_session
from tfx_export import Exported, export_function, export_savedmodel, export_session
from tfx_export.exporting.job import Extras
from tfx_export.exporting.spec.model import ExportSpec
from tfx_export.savedmodel.reader import find_meta_graph, read_index
from tfx_export.wire import GraphDef

PLACE = "/device:GPU:1"


def doubled_three_times(x: Any) -> Any:
    """Doubles `x` three times in a loop, on a device that this machine may not have."""

    def body(i: Any, value: Any) -> Any:
        with tf.device(PLACE):
            return i + 1, value * 2.0

    with tf.device(PLACE):
        _, result = tf.while_loop(lambda i, _: i < 3, body, [0, x])
        return tf.identity(result, "y")


def function(folder: Path, spec: ExportSpec) -> Exported:
    inputs = {"x": tf.TensorSpec([None], tf.float32)}
    call = tf.function(lambda x: {"y": doubled_three_times(x)}, autograph=False)
    return export_function(call, folder, inputs=inputs, spec=spec, extras=Extras(verify=False))


def checkpoint(folder: Path, spec: ExportSpec) -> Exported:
    (folder / "trained").mkdir(parents=True)
    config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph, config=config) as session:
        weight = tf.compat.v1.get_variable("w", initializer=[1.0])
        doubled_three_times(tf.compat.v1.placeholder(tf.float32, [None], "x") * weight)
        tf1_models.initialise(session)
        prefix = tf.compat.v1.train.Saver().save(session, str(folder / "trained" / "model"))
    names: Any = {"inputs": {"x": "x"}, "outputs": {"y": "y"}}
    return export_session(f"{prefix}.meta", folder / "m", spec=spec, extras=Extras(verify=False), **names)


def saved_model(folder: Path, spec: ExportSpec) -> Exported:
    first = checkpoint(folder / "first", ExportSpec(clear_devices=False))
    return export_savedmodel(first.path, folder / "m", spec=spec, extras=Extras(verify=False))


def nodes(folder: Path) -> Iterator[Any]:
    """The nodes of the graph and its functions, without those that save and restore, which stay on the CPU."""
    graph = GraphDef.FromString(find_meta_graph(read_index(folder), ["serve"]).graph_def)
    yield from (node for node in graph.node if not node.name.startswith("save/"))
    for one in graph.library.function:
        yield from one.node_def


@pytest.mark.parametrize("export", [function, checkpoint, saved_model])
def test_devices_are_removed_unless_the_spec_keeps_them(tmp_path: Path, export: Any) -> None:
    cleared = export(tmp_path / "cleared", ExportSpec())
    assert {node.device for node in nodes(cleared.path)} == {""}
    assert run_in_session(cleared.path, {"x": np.ones(2, np.float32)})["y"].tolist() == [8, 8]
    kept = export(tmp_path / "kept", ExportSpec(clear_devices=False))
    placed = [node.op for node in nodes(kept.path) if node.device.endswith(PLACE)]
    assert "Mul" in placed
    assert {"StatelessWhile", "While"} & set(placed)


def test_default_attributes_are_removed_unless_the_spec_keeps_them(tmp_path: Path) -> None:
    counts = [
        sum(len(node.attr) for node in nodes(function(tmp_path, ExportSpec(strip_default_attrs=strip)).path))
        for strip in (True, False)
    ]
    assert counts[0] < counts[1]
