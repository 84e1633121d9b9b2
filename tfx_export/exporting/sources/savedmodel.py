"""Opens an existing SavedModel as a source: with its own signatures, or to give it others.

Variables, tables and assets are kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from tfx_export import wire
from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.source_graph import OwnSignature, SourceGraph, new_session
from tfx_export.exporting.sources.graph_nodes import Nodes, node_of
from tfx_export.exporting.sources.session import (
    GraphPart,
    TensorSelection,
    bound_tensors,
    open_parts,
    open_session,
    read_graph_def,
    reference_of,
    select_part,
)
from tfx_export.exporting.sources.tables import add_assets
from tfx_export.exporting.tensorflow_errors import missing_op_hint, short_reason
from tfx_export.savedmodel.reader import find_meta_graph, read_index, signatures
from tfx_export.savedmodel.serving_methods import check_serving_method
from tfx_export.savedmodel.signature import INTERNAL_PREFIX, PREDICT, Signature

_INIT = "__saved_model_init_op"


def open_folder(
    folder: Path,
    *,
    tags: Sequence[str] = ("serve",),
    chosen: Sequence[str] = (),
    keep: bool = True,
    selection: TensorSelection | None = None,
    clear_devices: bool = True,
) -> SourceGraph:
    """Opens the SavedModel in `folder`.

    With `keep` and without tensors in `selection`, the source has its own signatures, those named in `chosen` (empty:
    all). Else it has the inputs and outputs of one signature (the one in `chosen`, serving_default or the first), and
    of the tensors in `selection`. Without `clear_devices` ops keep their devices.
    Raises SavedModelError or SourceError if it cannot be loaded, SpecError if a signature or a tensor does not exist.
    """
    index = read_index(folder)
    meta_graph = find_meta_graph(index, tags)
    selection = selection or TensorSelection({}, {})
    found = {name: one for name, one in signatures(meta_graph).items() if not name.startswith(INTERNAL_PREFIX)}
    if unknown := [name for name in chosen if name not in found]:
        raise SpecError(f"The SavedModel has no signature {unknown[0]!r}.", hint=f"It has: {', '.join(found)}")
    keep = keep and not selection.inputs and not selection.outputs
    if not keep:
        base = _base_signature(found, chosen, selection)
        one_selection = _select(meta_graph, base, selection)
    elif not found:
        raise _no_signature()
    graph = tf.Graph()
    with graph.as_default():
        session = new_session(graph)
        try:
            loaded = tf.compat.v1.saved_model.loader.load(session, list(tags), str(folder))
        except (tf.errors.OpError, ValueError, KeyError) as error:
            reason = short_reason(error)
            raise SourceError(f"TensorFlow cannot load {folder}: {reason}", hint=missing_op_hint(reason)) from error
    init_ops = []
    if _INIT in loaded.signature_def:
        init_ops = [info.name for info in loaded.signature_def[_INIT].outputs.values()]
    assets = _assets(loaded, folder)
    description = f"{folder} (SavedModel)"
    if keep:
        selections = {name: _select(meta_graph, name, selection) for name in found if name in chosen or not chosen}
        source, notes = _open_signatures(
            session, found, meta_graph, selections, bool(chosen), init_ops, assets, clear_devices, description
        )
        left_out = [name for name in found if name not in selections]
    else:
        source, notes = (
            open_session(
                session,
                one_selection,
                init_ops=init_ops,
                assets=assets,
                clear_devices=clear_devices,
                description=description,
            ),
            (),
        )
        left_out = [name for name in found if name != base]
    add_assets(assets.values(), source.graph)
    return replace(source, notes=(*source.notes, *notes, *_left_out(left_out), *_other_graphs(index, tags)))


def _open_signatures(
    session: tf.compat.v1.Session,
    found: Mapping[str, Signature],
    meta_graph: wire.MetaGraphIndex,
    selections: Mapping[str, TensorSelection],
    required: bool,
    init_ops: Sequence[str],
    assets: Mapping[str, str],
    clear_devices: bool,
    description: str,
) -> tuple[SourceGraph, tuple[str, ...]]:
    """Opens the signatures `selections`, and returns the source with notes.

    A signature that no server could answer is left out with a note, unless all signatures are `required`.
    """
    graph_def = read_graph_def(session.graph, clear_devices)
    nodes = Nodes(graph_def)
    bound = bound_tensors(session.graph, next(iter(selections.values())))
    parts: dict[str, GraphPart] = {}
    notes: list[str] = []
    errors: list[SpecError] = []
    for name, selection in selections.items():
        try:
            parts[name] = _part(session.graph, nodes, name, selection, bound)
        except SpecError as error:
            errors.append(error)
            notes.append(f"The signature {name!r} is left out, because no server could answer it: {error.message}")
    if errors and (required or not parts):
        raise errors[0]
    groups = _groups(parts)
    unions = [_union(parts[name] for name in group) for group in groups]
    graphs = open_parts(session, graph_def, nodes, unions, bound, init_ops, assets, description)
    graph_of = {name: graph for group, graph in zip(groups, graphs, strict=True) for name in group}
    own = []
    for name, part in parts.items():
        signature = found[name]
        own.append(
            OwnSignature(
                name,
                signature.method or PREDICT,
                graph_of[name],
                {alias: tensor.name for alias, tensor in part.inputs.items()},
                {alias: tensor.name for alias, tensor in part.outputs.items()},
                reference_of(session, part, bound, graph_of[name].body),
                {alias: value for alias, value in signature.defaults.items() if alias in part.inputs},
                part.unused_inputs(nodes),
            )
        )
        notes += _broken_rules(signature)
    return replace(graphs[0], signatures=tuple(own)), tuple(notes)


def _part(
    graph: tf.Graph, nodes: Nodes, name: str, selection: TensorSelection, bound: Mapping[tf.Tensor, object]
) -> GraphPart:
    part = select_part(graph, nodes, selection, bound)
    fixed = {tensor.name for tensor in bound}
    part = replace(part, inputs={alias: one for alias, one in part.inputs.items() if one.name not in fixed})
    if not part.outputs:
        raise SpecError(f"The signature {name!r} has no outputs.")
    alias_of: dict[str, str] = {}
    for alias, tensor in part.inputs.items():
        if (other := alias_of.setdefault(tensor.name, alias)) != alias:
            raise SpecError(f"Its inputs {other!r} and {alias!r} are the same tensor, {tensor.name}.")
    for alias, tensor in [*part.inputs.items(), *part.outputs.items()]:
        if tensor.dtype in (tf.resource, tf.variant):
            raise SpecError(f"{alias!r} is a {tensor.dtype.name}, which cannot be sent.")
    return part


def _groups(parts: Mapping[str, GraphPart]) -> list[list[str]]:
    """Groups signatures whose graphs can be one graph.

    Two cannot if an input of one is computed by the other, such as the input of a decoder by an encoder.
    """
    fed = {name: {tensor.name for tensor in part.inputs.values()} for name, part in parts.items()}

    def computes(one: str, other: str) -> bool:
        return not parts[one].needed.isdisjoint(map(node_of, fed[other] - fed[one]))

    def fit(one: str, other: str) -> bool:
        return not computes(one, other) and not computes(other, one)

    groups: list[list[str]] = []
    for name in parts:
        group = next((group for group in groups if all(fit(name, member) for member in group)), None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return groups


def _union(parts: Iterable[GraphPart]) -> GraphPart:
    """Returns one part with the tensors of all `parts`, each named after itself."""
    inputs: dict[str, tf.Tensor] = {}
    outputs: dict[str, tf.Tensor] = {}
    needed: set[str] = set()
    for part in parts:
        inputs |= {tensor.name: tensor for tensor in part.inputs.values()}
        outputs |= {tensor.name: tensor for tensor in part.outputs.values()}
        needed |= part.needed
    return GraphPart(inputs, outputs, needed)


def _broken_rules(signature: Signature) -> Iterable[str]:
    try:
        check_serving_method(signature)
    except SpecError as error:
        yield f"The signature {signature.name!r} is kept, but a server refuses requests to it: {error.message}"


def _left_out(names: Sequence[str]) -> Iterable[str]:
    if names:
        several = len(names) > 1
        yield (
            f"The signature{'s' if several else ''} {', '.join(map(repr, names))} of the source "
            f"{'are' if several else 'is'} left out."
        )


def _other_graphs(index: wire.SavedModelIndex, tags: Sequence[str]) -> Iterable[str]:
    for meta_graph in index.meta_graphs:
        if set(meta_graph.meta_info_def.tags) != set(tags):
            others = ",".join(sorted(meta_graph.meta_info_def.tags))
            yield f"The graph with the tags {others!r} is left out. To export it: --source-tags {others or repr('')}"


def _assets(meta_graph: tf.compat.v1.MetaGraphDef, folder: Path) -> dict[str, str]:
    """Returns the asset file of each asset tensor.

    The values of these tensors are the paths from the time of writing; the loader feeds the present paths.
    """
    found = list(meta_graph.asset_file_def)
    for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:  # SavedModelBuilder writes them there
        found.append(meta_graph_pb2.AssetFileDef())
        packed.Unpack(found[-1])
    return {asset.tensor_info.name: str(folder.absolute() / "assets" / asset.filename) for asset in found}


def _base_signature(found: Mapping[str, Signature], chosen: Sequence[str], selection: TensorSelection) -> str | None:
    """Returns the signature that new signatures start from; None if `selection` has all tensors."""
    if len(chosen) > 1:
        raise SpecError(
            "New signatures start from one signature of the source, but several are chosen: " + ", ".join(chosen),
            hint="Choose one with --signature-def, or describe no signatures (--signature, --signatures, --input, "
            "--output, --labels, --top-k) to keep those of the source.",
        )
    if selection.inputs and selection.outputs:
        return None
    if chosen:
        return chosen[0]
    if not found:
        raise _no_signature()
    return "serving_default" if "serving_default" in found else next(iter(found))


def _no_signature() -> SpecError:
    return SpecError(
        "The SavedModel has no signature to start from.",
        hint="Name its inputs and outputs: --input x=x:0 --output y=y:0",
    )


def _select(meta_graph: wire.MetaGraphIndex, name: str | None, overrides: TensorSelection) -> TensorSelection:
    if name is None:
        return overrides
    chosen = meta_graph.signature_def[name]
    return TensorSelection(
        inputs=overrides.inputs or _tensors(name, chosen.inputs),
        outputs=overrides.outputs or _tensors(name, chosen.outputs),
        bind=overrides.bind,
    )


def _tensors(signature: str, infos: Mapping[str, wire.TensorInfo]) -> dict[str, str]:
    """Returns the tensors of a signature by name; a sparse or ragged `x` becomes `x_indices`, `x_values` and so on."""
    found: dict[str, str] = {}
    for key, info in sorted(infos.items()):
        match info.WhichOneof("encoding"):
            case "coo_sparse":
                parts = {
                    f"{key}_indices": info.coo_sparse.indices_tensor_name,
                    f"{key}_values": info.coo_sparse.values_tensor_name,
                    f"{key}_shape": info.coo_sparse.dense_shape_tensor_name,
                }
            case "composite_tensor":
                components = [part.name for part in info.composite_tensor.components]
                names: Sequence[object] = ("values", "row_splits") if len(components) == 2 else range(len(components))
                parts = {f"{key}_{name}": part for name, part in zip(names, components, strict=True)}
            case _:
                parts = {key: info.name}
        if taken := sorted(parts.keys() & found.keys()):
            raise SpecError(
                f"Two tensors of the signature {signature!r} would be named {taken[0]!r}: one is a part of {key!r}.",
                hint="Name the tensors yourself: --input x=x:0 --output y=y:0",
            )
        found |= parts
    return found
