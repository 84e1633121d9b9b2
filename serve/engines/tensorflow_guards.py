"""Adds guards to a graph: convolutions and poolings check the rank of their input when they run.

With a wrong rank such an operator fails a CHECK, which ends the process. RankGuard runs static shape inference first,
but that does not cover the bodies of loops and branches, nor ranks that depend on data.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from tensorflow.core.framework import types_pb2
from tensorflow.python.saved_model import loader_impl

# Operator -> (index of an input, the rank it must have).
RANKS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(
        ("AvgPool", "Conv2D", "DepthwiseConv2dNative", "Dilation2D", "FusedBatchNorm", "FusedBatchNormV2", "LRN",
         "FusedBatchNormV3", "MaxPool", "MaxPoolV2", "MaxPoolWithArgmax", "_FusedConv2D", "_FusedBatchNormEx",
         "_FusedDepthwiseConv2dNative"),
        (0, 4),
    ),
    **dict.fromkeys(("Conv2DBackpropInput", "DepthwiseConv2dNativeBackpropInput"), (2, 4)),
    **dict.fromkeys(("AvgPool3D", "Conv3D", "MaxPool3D", "_FusedConv3D"), (0, 5)),
    "Conv3DBackpropInputV2": (2, 5),
}  # fmt: skip
# Operators whose bodies are inlined into the graph, where static shape inference covers them.
_INLINED = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


# Which functions get guards: the bodies of loops and branches, or all of them (if they are not going to be inlined).
Guards = Literal["hidden", "all"]


class GuardedLoader(loader_impl.SavedModelLoader):  # type: ignore[misc]
    """Loads a SavedModel and adds guards to its functions."""

    def __init__(self, path: str, guards: Guards = "hidden") -> None:
        super().__init__(path)
        self._guards = guards

    def get_meta_graph_def_from_tags(self, tags: Iterable[str]) -> Any:
        meta_graph = super().get_meta_graph_def_from_tags(tags)
        if self._guards == "all":
            guard_functions(meta_graph.graph_def)
        else:
            guard_bodies(meta_graph.graph_def)
        return meta_graph


def guard_bodies(graph_def: Any) -> None:
    """Adds guards to every function that an operator such as While, If or Case calls, directly or indirectly."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    everywhere = [graph_def.node, *(function.node_def for function in functions.values())]
    pending = {
        name
        for nodes in everywhere
        for node in nodes
        if node.op not in _INLINED and node.op not in functions
        for name in called(node)
    }
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        nodes = functions[name].node_def
        for node in nodes:
            pending |= called(node)
        _guard_function(nodes)


def guard_functions(graph_def: Any) -> None:
    """Adds guards to every function."""
    for function in graph_def.library.function:
        _guard_function(function.node_def)


def _guard_function(nodes: Any) -> None:
    # Inside a function, the name of a node's output includes the output's name in the operator.
    _guard(nodes, [node for node in nodes if node.op in RANKS], ":output:0")


def guard_unknown(graph_def: Any, graph: Any) -> bool:
    """Adds guards before operators whose input rank is unknown in `graph`, which was built from `graph_def`.

    Returns whether there were any.
    """
    unknown = [
        node
        for node in graph_def.node
        if node.op in RANKS and graph.get_operation_by_name(node.name).inputs[RANKS[node.op][0]].shape.rank is None
    ]
    _guard(graph_def.node, unknown, "")
    return bool(unknown)


def called(node: Any) -> set[str]:
    """The functions that `node` names as its operator or in its attributes."""
    names = {node.op}
    for attribute in node.attr.values():
        names.update((attribute.func.name, *(each.name for each in attribute.list.func)))
    return names


def _guard(nodes: Any, guarded: Iterable[Any], output: str) -> None:
    for node in guarded:
        position, rank = RANKS[node.op]
        if "data_format" in node.attr and node.attr["data_format"].s in (b"NDHWC", b"NCDHW"):
            rank = 5
        guard = nodes.add(name=f"{node.name}/rank_guard", op="EnsureShape", input=[node.input[position]])
        # If the attribute is missing it has the default, float; reading a missing attribute would add an empty one.
        guard.attr["T"].type = node.attr["T"].type if "T" in node.attr else types_pb2.DT_FLOAT
        for _ in range(rank):
            guard.attr["shape"].shape.dim.add(size=-1)
        node.input[position] = guard.name + output
