"""The functions on the root object of a TF2 SavedModel: what `tf.saved_model.load(...)` can call besides signatures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfx_export import wire
from tfx_export.savedmodel.graph import loaded_names, parse_objects
from tfx_export.savedmodel.structured_value import decode


@dataclass(frozen=True)
class FunctionOption:
    """One concrete function: the types of its positional arguments and of its keyword arguments."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]


def has_object_graph(meta_graph: wire.MetaGraphIndex) -> bool:
    """Whether TensorFlow 2 wrote the meta graph; TF1 writers store no objects."""
    return bool(meta_graph.object_graph_def)


def root_functions(meta_graph: wire.MetaGraphIndex, graph: wire.GraphDef) -> dict[str, list[FunctionOption]]:
    """Function name -> its concrete functions, names sorted, options in the order of saved_model_cli.

    `meta_graph` is one of `reader.read_index`, `graph` its parsed GraphDef.
    """
    objects = parse_objects(meta_graph.object_graph_def)
    loaded = loaded_names(graph)
    found: dict[str, list[FunctionOption]] = {}
    if not objects.nodes:
        return found
    for child in sorted(objects.nodes[0].children, key=lambda child: child.local_name):
        node = objects.nodes[child.node_id]
        match node.WhichOneof("kind"):
            case "function":
                names = sorted(node.function.concrete_functions, key=lambda name: loaded.get(name, name))
                keywords: Sequence[str] = ()
            case "bare_concrete_function":
                names = [node.bare_concrete_function.concrete_function_name]
                keywords = tuple(node.bare_concrete_function.argument_keywords)
            case _:
                continue
        found[child.local_name] = [_option(objects.concrete_functions[name], keywords) for name in names]
    return found


def _option(function: wire.SavedConcreteFunction, keywords: Sequence[str]) -> FunctionOption:
    match decode(function.canonicalized_input_signature):
        case (tuple(args), dict(kwargs)):
            return FunctionOption(args, kwargs)
        case _:
            return FunctionOption(keywords, {})
