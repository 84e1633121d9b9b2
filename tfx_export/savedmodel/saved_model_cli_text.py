"""Yields the text of `saved_model_cli show`, line by line, so that scripts which parse it keep working."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tfx_export import wire
from tfx_export.savedmodel.dtypes import dtype_name
from tfx_export.savedmodel.functions import FunctionOption, has_object_graph, root_functions
from tfx_export.savedmodel.graph import ops_used, parse_graph
from tfx_export.savedmodel.structured_value import TensorType


def list_tag_sets(index: wire.SavedModelIndex) -> Iterator[str]:
    """Lists the tag sets of a SavedModel."""
    yield "The given SavedModel contains the following tag-sets:"
    for tags in sorted(list(meta.meta_info_def.tags) for meta in index.meta_graphs):
        yield repr(", ".join(sorted(tags)))


def list_signature_keys(meta_graph: wire.MetaGraphIndex) -> Iterator[str]:
    """Lists the names of the signatures of a meta graph."""
    yield "The given SavedModel MetaGraphDef contains SignatureDefs with the following keys:"
    for name in sorted(meta_graph.signature_def):
        yield f'SignatureDef key: "{name}"'


def list_signature(signature: wire.SignatureDef, indent: str = "") -> Iterator[str]:
    """Lists inputs, outputs and method of a SignatureDef."""
    for title, key, tensors in (("input", "inputs", signature.inputs), ("output", "outputs", signature.outputs)):
        yield f"{indent}The given SavedModel SignatureDef contains the following {title}(s):"
        for name in sorted(tensors):
            yield f"{indent}  {key}['{name}'] tensor_info:"
            yield from _list_tensor(tensors[name], indent + "  ")
    yield f"{indent}Method name is: {signature.method_name}"


def list_ops(meta_graph: wire.MetaGraphIndex, graph: wire.GraphDef) -> Iterator[str]:
    """Lists the ops of a meta graph, sorted. saved_model_cli prints a set, whose order changes from run to run."""
    ops = ", ".join(map(repr, ops_used(graph)))
    tags = list(meta_graph.meta_info_def.tags)
    yield f"The MetaGraph with tag set {tags} contains the following ops: {{{ops}}}"


def list_all(index: wire.SavedModelIndex) -> Iterator[str]:
    """Lists signatures and ops of each meta graph, then the functions of the object graph."""
    functions: list[dict[str, list[FunctionOption]]] = []
    for meta_graph in sorted(index.meta_graphs, key=lambda meta: list(meta.meta_info_def.tags)):
        graph = parse_graph(meta_graph)
        tags = ", ".join(meta_graph.meta_info_def.tags)
        yield ""
        yield f"MetaGraphDef with tag-set: '{tags}' contains the following SignatureDefs:"
        for name in sorted(meta_graph.signature_def):
            yield ""
            yield f"signature_def['{name}']:"
            yield from list_signature(meta_graph.signature_def[name], "  ")
        yield from list_ops(meta_graph, graph)
        if has_object_graph(meta_graph):
            functions.append(root_functions(meta_graph, graph))
    if functions:
        yield ""
        yield from _join_first("Concrete Functions:", list_functions(functions[0]))


def list_functions(functions: Mapping[str, Sequence[FunctionOption]]) -> Iterator[str]:
    """Lists the functions of a TF2 model, with a blank line before each."""
    for name, options in functions.items():
        yield ""
        yield f"  Function Name: '{name}'"
        for number, option in enumerate(options, 1):
            if option.args:
                yield f"    Option #{number}"
                yield "      Callable with:"
            for position, value in enumerate(option.args, 1):
                yield f"        Argument #{position}"
                yield from _list_argument(value)
            for position, keyword in enumerate(option.kwargs, 1):
                yield f"        Named Argument #{position}"
                yield f"          {keyword}"


def _list_tensor(info: wire.TensorInfo, indent: str) -> Iterator[str]:
    dims = ", ".join(str(dim.size) for dim in info.tensor_shape.dim)
    shape = "unknown_rank" if info.tensor_shape.unknown_rank else f"({dims})"
    yield f"{indent}    dtype: {dtype_name(info.dtype)}"
    yield f"{indent}    shape: {shape}"
    yield f"{indent}    name: {info.name}"


def _list_argument(value: object) -> Iterator[str]:
    indent = " " * 10
    match value:
        case str():
            yield f"{indent}{value}"
        case TensorType():
            yield f"{indent}{value.name}: {value!r}"
        case dict():
            items = [f"'{key}': {_quoted(item)}" for key, item in value.items()]
            yield f"{indent}DType: dict"
            yield f"{indent}Value: {{{_joined(items)}}}"
        case list() | tuple():
            yield f"{indent}DType: {type(value).__name__}"
            yield f"{indent}Value: [{_joined(map(_quoted, value))}]"
        case _:
            yield f"{indent}DType: {getattr(value, 'class_name', type(value).__name__)}"
            yield f"{indent}Value: {value}"


def _joined(items: Iterable[str]) -> str:
    # saved_model_cli deletes the last comma with two backspaces.
    return "".join(f"{item}, " for item in items) + "\b\b"


def _quoted(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def _join_first(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield title + next(lines, "")
    yield from lines
