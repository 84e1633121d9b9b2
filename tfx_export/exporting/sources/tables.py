"""Copies the lookup tables that a TF1 graph needs into a new graph.

If an op of the graph fills a table, the same op fills it in the new graph, and its vocabulary file becomes an asset.
If a checkpoint or the program filled it, its content becomes constants.

A SavedModel that was loaded and saved again has its tables in functions, in one of two ways:

- A function creates the table and returns its handle, and another function, which takes the handle, fills it. This is
  what `tf.saved_model.save` writes for the tables of a TF2 model.
- The functions that look up and the function that fills create the table themselves, and find each other by its name.
  This is what it writes for a TF1 SavedModel.

Other resources with a handle and an op that fills them, such as the models of TensorFlow Decision Forests, are copied
in the same way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.source_graph import VARIABLES
from tfx_export.exporting.sources.graph_nodes import FunctionLibrary, Nodes, canonical, node_of, subgraph
from tfx_export.exporting.sources.table_content import TableContent
from tfx_export.exporting.sources.variables import as_default_for_reading
from tfx_export.exporting.tensorflow_errors import short_reason

# Tables that only an initializer fills. A lookup in one that is not filled is an error.
_IMMUTABLE = {"HashTable", "HashTableV2"}
TABLES = _IMMUTABLE | {
    "MutableDenseHashTable", "MutableDenseHashTableV2", "MutableHashTable", "MutableHashTableOfTensors",
    "MutableHashTableOfTensorsV2", "MutableHashTableV2",
}  # fmt: skip
# Ops that fill an immutable table. Any op that ran may have filled a mutable one.
TABLE_FILLERS = {"InitializeTable", "InitializeTableV2", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}


@dataclass(frozen=True)
class TablePlan:
    """How to copy the tables of a part of a graph.

    `fillers` are ops that fill tables, `filled` the handles of these tables (`a:0`), and `unfilled` the tables whose
    content is copied, by handle; their ops have the dtypes and the name. `nodes` are the fillers and all nodes that
    they depend on.
    """

    fillers: tuple[str, ...]
    filled: tuple[str, ...]
    unfilled: Mapping[str, tf.compat.v1.NodeDef]
    nodes: frozenset[str]


def plan_tables(
    graph: tf.Graph, graph_def: tf.compat.v1.GraphDef, nodes: Nodes, needed: set[str], init_ops: Sequence[str]
) -> TablePlan:
    """Finds the tables that the nodes `needed` use, and the ops that fill them.

    `init_ops` are ops that initialise the graph, besides those in its collections. Raises SourceError if a table inside
    a function is not filled.
    """
    library = FunctionLibrary(graph_def)
    initializers = _initializers(graph, nodes, init_ops)
    fillers: dict[str, None] = {}
    filled: list[str] = []
    unfilled: dict[str, tf.compat.v1.NodeDef] = {}
    handles: set[str] = set()
    for name in sorted(needed):
        node = nodes.by_name[name]
        if node.op in VARIABLES or not graph.get_operation_by_name(name).outputs:
            continue
        handle = graph.get_operation_by_name(name).outputs[0]
        table = node if node.op in TABLES else _created_table(node, library) if handle.dtype == tf.resource else None
        users = sorted(_users(nodes, name))
        found = [user for user in users if user in initializers]
        found = found or [user for user in users if nodes.by_name[user].op in TABLE_FILLERS]
        if found and (table or handle.dtype == tf.resource):
            fillers |= dict.fromkeys(found)
            filled.append(handle.name)
            handles.add(name)
        elif table:
            unfilled[handle.name] = table
            handles.add(name)
    named = {key: name for name in sorted(needed - handles) for key in _named_inside(nodes.by_name[name], library)}
    fillers |= dict.fromkeys(_fillers_by_name(nodes, initializers - handles, named, library))
    return TablePlan(tuple(fillers), tuple(filled), unfilled, frozenset(nodes.dependencies(fillers)))


def copy_tables(
    source: tf.compat.v1.Session,
    graph_def: tf.compat.v1.GraphDef,
    nodes: Nodes,
    plan: TablePlan,
    state: Mapping[str, tf.Tensor],
    target: tf.compat.v1.Session,
    assets: Mapping[str, str],
) -> dict[str, tf.Tensor]:
    """Creates the tables of `plan` in the graph of the session `target`, and fills them.

    `state` maps tensors of the session `source` to the variables copied before. `assets` maps asset tensors to files,
    where their values are the paths of another time or machine. Returns the new tensor for the handle of each table.
    Raises SourceError if a table cannot be filled.
    """
    copied = _with_fillers(source, graph_def, nodes, plan, state, target, assets)
    for handle, table in plan.unfilled.items():
        copied[handle] = _with_content(source, handle, table, target)
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


def _users(nodes: Nodes, name: str) -> set[str]:
    """Returns the nodes that use the handle `name`, directly or through an Identity."""
    users: set[str] = set()
    for consumer in nodes.consumers[name]:
        users |= _users(nodes, consumer) if nodes.by_name[consumer].op == "Identity" else {consumer}
    return users


def _created_table(node: tf.compat.v1.NodeDef, library: FunctionLibrary) -> tf.compat.v1.NodeDef | None:
    """Returns the table op in the function that `node` calls; None if there is none."""
    return next((inner for inner in library.inside(node) if inner.op in TABLES), None)


def _named_inside(node: tf.compat.v1.NodeDef, library: FunctionLibrary) -> Iterable[tuple[str, bytes]]:
    """Yields op and name of each resource that has a name and is created in a function which `node` calls."""
    for inner in library.inside(node):
        if _shared_name(inner) and inner.op not in VARIABLES:
            yield inner.op, _shared_name(inner)


def _shared_name(node: tf.compat.v1.NodeDef) -> bytes:
    # Reading an attribute that a node lacks would add it to the node.
    return node.attr["shared_name"].s if "shared_name" in node.attr else b""


def _fillers_by_name(
    nodes: Nodes, initializers: set[str], named: Mapping[tuple[str, bytes], str], library: FunctionLibrary
) -> list[str]:
    """Returns the nodes among `initializers` that fill resources of the names `named` (each with a node that uses it).

    Raises SourceError if none of them fills a table that has to be filled.
    """
    fillers, missing = [], set(named)
    for name in sorted(initializers) if named else ():
        node = nodes.by_name[name]
        inside = named.keys() & set(_named_inside(node, library))
        own = named.keys() & {(node.op, _shared_name(node))}
        if inside:
            fillers.append(name)
        elif own:
            fillers += sorted(_users(nodes, name) & initializers)
        missing -= inside | own
    for key in sorted(missing):
        if key[0] in _IMMUTABLE:
            raise SourceError(
                f"The lookup table {key[1].decode(errors='replace')!r}, inside a function that "
                f"{named[key]!r} calls, is empty: no initializer of the graph fills it."
            )
    return fillers


def _with_fillers(
    source: tf.compat.v1.Session,
    graph_def: tf.compat.v1.GraphDef,
    nodes: Nodes,
    plan: TablePlan,
    state: Mapping[str, tf.Tensor],
    target: tf.compat.v1.Session,
    assets: Mapping[str, str],
) -> dict[str, tf.Tensor]:
    """Copies the ops that fill tables, with the tables, under the same names; returns the new tensor of each handle."""
    if not plan.fillers:
        return {}
    mapped = {node_of(name) for name in state}
    needed = nodes.dependencies(plan.fillers, stop=mapped) - mapped
    files = _vocabulary_files(source, nodes, needed, assets)
    with target.graph.as_default():
        vocabularies = {tensor: _asset(path, node_of(tensor)) for tensor, path in files.items()}
        small = subgraph(graph_def, needed - {node_of(tensor) for tensor in files})
        # The import refuses replacements for tensors that no node uses.
        used = {canonical(tensor) for node in small.node for tensor in node.input}
        replaced = {name: value for name, value in {**state, **vocabularies}.items() if name in used}
        wanted = [*plan.fillers, *plan.filled]
        results = tf.graph_util.import_graph_def(small, input_map=replaced, return_elements=wanted, name="")
        for filler in results[: len(plan.fillers)]:
            tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS, filler)
    return dict(zip(plan.filled, results[len(plan.fillers) :], strict=True))


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


def _with_content(
    source: tf.compat.v1.Session, handle: str, table: tf.compat.v1.NodeDef, target: tf.compat.v1.Session
) -> tf.Tensor:
    """Creates a table with the same content. The default for missing keys is an input of each lookup."""
    key_type, value_type = table.attr["key_dtype"].type, table.attr["value_dtype"].type
    with as_default_for_reading(source.graph):
        tensor = source.graph.get_tensor_by_name(handle)
        export = tf.raw_ops.LookupTableExportV2(table_handle=tensor, Tkeys=key_type, Tvalues=value_type)
    try:
        keys, values = source.run(export)
    except tf.errors.OpError as error:
        raise SourceError(
            f"The lookup table {node_of(handle)!r} is empty, and no op of the graph fills it: {short_reason(error)}",
            hint="Freeze the graph with the op that fills its tables among the outputs: "
            "tf.compat.v1.tables_initializer(name='init_tables').",
        ) from error
    # Reading an attribute that a node lacks would add it to the node.
    scalars = "value_shape" not in table.attr or not table.attr["value_shape"].shape.dim
    content = TableContent.exported(keys, values, scalars=scalars)
    with target.graph.as_default():
        return content.rebuild(node_of(handle))
