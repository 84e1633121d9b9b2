"""Opens an existing SavedModel as a source, to give it other signatures; variables, tables and assets are kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.source_graph import SourceGraph, new_session
from tfx_export.exporting.sources.session import TensorSelection, open_session
from tfx_export.exporting.sources.tables import add_assets
from tfx_export.exporting.tensorflow_errors import short_reason
from tfx_export.savedmodel.reader import find_meta_graph, read_index, signatures

_INIT = "__saved_model_init_op"


def open_folder(
    folder: Path,
    *,
    tags: Sequence[str] = ("serve",),
    signature: str | None = None,
    selection: TensorSelection | None = None,
    clear_devices: bool = True,
) -> SourceGraph:
    """Opens the SavedModel in `folder` at the inputs and outputs of `signature` (None: serving_default or the first).

    `selection` names other tensors instead; without `clear_devices` ops keep their devices.
    Raises SavedModelError or SourceError if it cannot be loaded, SpecError if the signature or a tensor does not exist.
    """
    meta_graph = find_meta_graph(read_index(folder), tags)
    chosen = (
        selection if selection and selection.inputs and selection.outputs else _select(meta_graph, signature, selection)
    )
    graph = tf.Graph()
    with graph.as_default():
        session = new_session(graph)
        try:
            loaded = tf.compat.v1.saved_model.loader.load(session, list(tags), str(folder))
        except (tf.errors.OpError, ValueError, KeyError) as error:
            raise SourceError(f"TensorFlow cannot load {folder}: {short_reason(error)}") from error
    init_ops = []
    if _INIT in loaded.signature_def:
        init_ops = [info.name for info in loaded.signature_def[_INIT].outputs.values()]
    assets = _assets(loaded, folder)
    source = open_session(
        session,
        chosen,
        init_ops=init_ops,
        assets=assets,
        clear_devices=clear_devices,
        description=f"{folder} (SavedModel)",
    )
    add_assets(assets.values(), source.graph)
    return source


def _assets(meta_graph: tf.compat.v1.MetaGraphDef, folder: Path) -> dict[str, str]:
    """Returns the asset file of each asset tensor.

    The values of these tensors are the paths from the time of writing; the loader feeds the present paths.
    """
    found = list(meta_graph.asset_file_def)
    for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:  # SavedModelBuilder writes them there
        found.append(meta_graph_pb2.AssetFileDef())
        packed.Unpack(found[-1])
    return {asset.tensor_info.name: str(folder.absolute() / "assets" / asset.filename) for asset in found}


def _select(
    meta_graph: tf.compat.v1.MetaGraphDef, name: str | None, overrides: TensorSelection | None
) -> TensorSelection:
    found = {key: one for key, one in signatures(meta_graph).items() if key != _INIT}
    if name is None:
        name = "serving_default" if "serving_default" in found else next(iter(found), None)
        if name is None:
            raise SpecError(
                "The SavedModel has no signature to start from.",
                hint="Name its inputs and outputs: --input x=x:0 --output y=y:0",
            )
    if name not in found:
        raise SpecError(f"The SavedModel has no signature {name!r}.", hint=f"It has: {', '.join(found)}")
    chosen = meta_graph.signature_def[name]
    return TensorSelection(
        inputs=(overrides and overrides.inputs) or _tensors(chosen.inputs),
        outputs=(overrides and overrides.outputs) or _tensors(chosen.outputs),
        bind=overrides.bind if overrides else {},
    )


def _tensors(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, str]:
    """Returns the tensors of a signature by name; a sparse or ragged `x` becomes `x_indices`, `x_values` and so on."""
    found: dict[str, str] = {}
    for key, info in sorted(infos.items()):
        match info.WhichOneof("encoding"):
            case "coo_sparse":
                found |= {
                    f"{key}_indices": info.coo_sparse.indices_tensor_name,
                    f"{key}_values": info.coo_sparse.values_tensor_name,
                    f"{key}_shape": info.coo_sparse.dense_shape_tensor_name,
                }
            case "composite_tensor":
                parts = [part.name for part in info.composite_tensor.components]
                names: Sequence[object] = ("values", "row_splits") if len(parts) == 2 else range(len(parts))
                found |= {f"{key}_{name}": part for name, part in zip(names, parts, strict=True)}
            case _:
                found[key] = info.name
    return found
