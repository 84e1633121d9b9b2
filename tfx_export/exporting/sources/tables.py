"""Copies the lookup tables that a TF1 graph needs into a new graph.

If an op of the graph fills a table, the same op fills it in the new graph, and its vocabulary file becomes an asset.
If a checkpoint or the program filled it, its content becomes constants.
"""

from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.graph_nodes import Nodes, canonical, node_of, subgraph
from tfx_export.exporting.sources.table_content import TableContent
from tfx_export.exporting.sources.variables import as_default_for_reading
from tfx_export.exporting.tensorflow_errors import short_reason

TABLES = {
    "HashTable", "HashTableV2", "MutableDenseHashTable", "MutableDenseHashTableV2", "MutableHashTable",
    "MutableHashTableOfTensors", "MutableHashTableOfTensorsV2", "MutableHashTableV2",
}  # fmt: skip
# Ops that fill an immutable table. Any op that ran may have filled a mutable one.
TABLE_FILLERS = {"InitializeTable", "InitializeTableV2", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}


def copy_tables(
    source: tf.compat.v1.Session,
    graph_def: tf.compat.v1.GraphDef,
    nodes: Nodes,
    operations: Sequence[tf.Operation],
    state: Mapping[str, tf.Tensor],
    target: tf.compat.v1.Session,
    init_ops: Sequence[str],
    assets: Mapping[str, str],
) -> dict[str, tf.Tensor]:
    """Creates the tables `operations` of the session `source` in the graph of the session `target`, and fills them.

    `state` maps tensors of the source to the variables copied before. `init_ops` are ops that initialise the
    graph, besides those in its collections. `assets` maps asset tensors to files, where their values are the paths of
    another time or machine. Returns the new tensor for the tensor of each table. Raises SourceError if a table cannot
    be filled.
    """
    initializers = _initializers(source.graph, nodes, init_ops)
    copied: dict[str, tf.Tensor] = {}
    for operation in operations:
        tensor = operation.outputs[0].name
        consumers = sorted(nodes.consumers[operation.name])
        fillers = [name for name in consumers if name in initializers]
        fillers = fillers or [name for name in consumers if nodes.by_name[name].op in TABLE_FILLERS]
        if fillers:
            copied[tensor] = _with_fillers(source, graph_def, nodes, tensor, fillers, state, target, assets)
        else:
            copied[tensor] = _with_content(source, operation, target)
    with target.graph.as_default():
        try:
            target.run(tf.compat.v1.tables_initializer())
        except tf.errors.OpError as error:
            raise SourceError(
                f"The lookup tables cannot be filled: {short_reason(error)}",
                hint="A vocabulary file must be at the path in the graph.",
            ) from error
    return copied


def add_assets(paths: Iterable[str], graph: tf.Graph) -> None:
    """Adds the files `paths` to the assets of `graph`, except those that its tables added."""
    constants = map(tf.get_static_value, graph.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS))
    present = {constant.item().decode() for constant in constants}
    with graph.as_default():
        for path in sorted(set(paths) - present):
            _asset(path, "asset")


def _initializers(graph: tf.Graph, nodes: Nodes, init_ops: Sequence[str]) -> set[str]:
    """Returns all nodes that run when the graph is initialised."""
    collections = [tf.compat.v1.GraphKeys.TABLE_INITIALIZERS, "saved_model_main_op", "legacy_init_op"]
    roots = [item.name for key in collections for item in graph.get_collection(key)]
    return nodes.dependencies([*roots, *init_ops])


def _with_fillers(
    source: tf.compat.v1.Session,
    graph_def: tf.compat.v1.GraphDef,
    nodes: Nodes,
    table: str,
    fillers: list[str],
    state: Mapping[str, tf.Tensor],
    target: tf.compat.v1.Session,
    assets: Mapping[str, str],
) -> tf.Tensor:
    """Copies the table with the ops that fill it, under the same names; returns its new tensor."""
    mapped = {node_of(name) for name in state}
    needed = nodes.dependencies(fillers, stop=mapped) - mapped
    files = _vocabulary_files(source, nodes, needed, assets)
    with target.graph.as_default():
        vocabularies = {tensor: _asset(path, node_of(tensor)) for tensor, path in files.items()}
        small = subgraph(graph_def, needed - {node_of(tensor) for tensor in files})
        # The import refuses replacements for tensors that no node uses.
        used = {canonical(tensor) for node in small.node for tensor in node.input}
        replaced = {name: value for name, value in {**state, **vocabularies}.items() if name in used}
        results = tf.graph_util.import_graph_def(small, input_map=replaced, return_elements=[*fillers, table], name="")
        for filler in results[:-1]:
            tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS, filler)
    return results[-1]


def _vocabulary_files(
    source: tf.compat.v1.Session, nodes: Nodes, needed: set[str], assets: Mapping[str, str]
) -> dict[str, str]:
    """Returns the constants among `needed` that name an asset or vocabulary file, with the files."""
    collection = source.graph.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS)
    tensors = {tensor for tensor in (*(one.name for one in collection), *assets) if node_of(tensor) in needed}
    for name in needed:
        node = nodes.by_name[name]
        if node.op.startswith("InitializeTableFromTextFile"):
            tensors.add(f"{node_of(node.input[1])}:0")
    return {tensor: assets.get(tensor) or source.run(tensor).decode() for tensor in sorted(tensors)}


def _asset(path: str, name: str) -> tf.Tensor:
    tensor = tf.constant(path, name=name)
    tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, tensor)
    return tensor


def _with_content(source: tf.compat.v1.Session, operation: tf.Operation, target: tf.compat.v1.Session) -> tf.Tensor:
    """Creates a table with the same content. The default for missing keys is an input of each lookup."""
    key_type, value_type = operation.get_attr("key_dtype"), operation.get_attr("value_dtype")
    with as_default_for_reading(source.graph):
        export = tf.raw_ops.LookupTableExportV2(table_handle=operation.outputs[0], Tkeys=key_type, Tvalues=value_type)
    try:
        keys, values = source.run(export)
    except tf.errors.OpError as error:
        raise SourceError(
            f"The lookup table {operation.name!r} is empty, and no op of the graph fills it: {short_reason(error)}",
            hint="Freeze the graph with the op that fills its tables among the outputs: "
            "tf.compat.v1.tables_initializer(name='init_tables').",
        ) from error
    content = TableContent.exported(keys, values)
    with target.graph.as_default():
        return content.rebuild(operation.name)
