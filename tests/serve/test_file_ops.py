"""A model that opens files is served only if the operator allows it. Other models are served in any case."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import text_format

from serve.models.file_ops import file_ops
from tests.support.fronts import in_memory_only
from tests.support.server import Server, publish
from tfx_export import wire


@pytest.fixture
def models(served_models: Path, saved_models: Path, tmp_path: Path) -> Path:
    """A folder with a harmless model and a model with ReadFile in its graph."""
    shutil.copytree(served_models / "plus" / "1", tmp_path / "models" / "plus" / "1")
    publish(saved_models / "tf1_unsafe", tmp_path / "models" / "unsafe", 1)
    return tmp_path / "models"


@in_memory_only
def test_the_model_is_rejected(models: Path, start_any_server: Callable[..., Server]) -> None:
    server = start_any_server(f"--model_base_path={models}")
    with server.client as client:
        assert [version.state for version in client.status("plus")] == ["AVAILABLE"]
        (version,) = client.status("unsafe")
    assert version.state == "END"
    assert "reads or writes files as it runs: ReadFile in node" in version.error
    assert "--allow_file_ops" in version.error


@in_memory_only
def test_the_model_is_served_if_the_operator_allows_it(models: Path, start_any_server: Callable[..., Server]) -> None:
    server = start_any_server(f"--model_base_path={models}", "--allow_file_ops")
    assert server.states("unsafe") == {1: "AVAILABLE"}


@pytest.mark.parametrize("suffix", ["pb", "pbtxt"])
@pytest.mark.parametrize(
    ("op", "attributes", "denied"),
    [
        ("WriteFile", {}, True),
        ("TFRecordDatasetV2", {}, True),
        ("PrintV2", {"output_stream": b"file:///tmp/x"}, True),
        ("PrintV2", {"output_stream": b"stderr"}, False),
        ("RestoreV2", {}, False),
        ("InitializeTableFromTextFileV2", {}, False),
    ],
)
def test_ops_in_functions_are_found(
    tmp_path: Path, suffix: str, op: str, attributes: dict[str, bytes], denied: bool
) -> None:
    saved_model = wire.SavedModel()
    node = saved_model.meta_graphs.add().graph_def.library.function.add().node_def.add(name="hidden", op=op)
    for name, value in attributes.items():
        node.attr[name].s = value
    content = text_format.MessageToString(saved_model) if suffix == "pbtxt" else saved_model.SerializeToString()
    (tmp_path / f"saved_model.{suffix}").write_bytes(content.encode() if isinstance(content, str) else content)
    assert file_ops(tmp_path) == ({f"{op} in node hidden"} if denied else set())


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_folder_without_a_model_passes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    assert file_ops(tmp_path) == set()
