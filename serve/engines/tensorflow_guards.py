"""Adds guards to a graph: convolutions and poolings check their input when they run.

With an input of a wrong rank such an operator fails a CHECK, which ends the process. RankGuard runs static shape
inference first, but that does not cover functions that were not inlined, such as the bodies of loops, nor ranks that
depend on data. An input that is one smaller than the window makes oneDNN's maximum pooling divide by zero, which ends
the process as well.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import tensor_util

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
# Poolings that divide by zero if their output is empty. With the padding SAME it never is.
POOLINGS = frozenset({"MaxPool", "MaxPool3D"})
# The end of the name of their guard, which is a control input.
SIZE_GUARD = "/size_guard"


def guard_everything(graph_def: Any) -> None:
    """Adds guards to the graph and to every function."""
    _guard_functions(graph_def)
    _guard_ranks(graph_def.node, [node for node in graph_def.node if node.op in RANKS], _main_output)
    _guard_sizes(graph_def.node, _main_output)


def guard_optimised(graph_def: Any, graph: Any) -> None:
    """Adds guards to a graph after its optimisation, which would remove or move them.

    In the graph itself, where functions have been inlined, ranks are guarded only where `graph`, built from it, does
    not know them.
    """
    _guard_functions(graph_def)
    unknown = [
        node
        for node in graph_def.node
        if node.op in RANKS and graph.get_operation_by_name(node.name).inputs[RANKS[node.op][0]].shape.rank is None
    ]
    _guard_ranks(graph_def.node, unknown, _main_output)
    _guard_sizes(graph_def.node, _main_output)


def _guard_functions(graph_def: Any) -> None:
    for function in graph_def.library.function:
        nodes = function.node_def
        _guard_ranks(nodes, [node for node in nodes if node.op in RANKS], _function_output)
        _guard_sizes(nodes, _function_output)


def called(node: Any) -> set[str]:
    """The functions that `node` names as its operator or in its attributes."""
    names = {node.op}
    for attribute in node.attr.values():
        names.update((attribute.func.name, *(each.name for each in attribute.list.func)))
    return names


def _main_output(node: str, output: str) -> str:
    return node


def _function_output(node: str, output: str) -> str:
    """Inside a function, the name of a tensor includes the output's name in the operator."""
    return f"{node}:{output}:0"


def _guard_ranks(nodes: Any, guarded: Iterable[Any], named: Callable[[str, str], str]) -> None:
    """Adds an EnsureShape before each of the operators `guarded`. `named` gives the name of a tensor."""
    for node in guarded:
        position, rank = RANKS[node.op]
        if position >= len(node.input):
            continue  # invalid: TensorFlow refuses the graph
        if _text(node, "data_format") in (b"NDHWC", b"NCDHW"):
            rank = 5
        guard = nodes.add(name=f"{node.name}/rank_guard", op="EnsureShape", input=[node.input[position]])
        guard.attr["T"].type = _dtype(node)
        for _ in range(rank):
            guard.attr["shape"].shape.dim.add(size=-1)
        node.input[position] = named(guard.name, "output")


def _guard_sizes(nodes: Any, named: Callable[[str, str], str]) -> None:
    """Adds an Assert before each pooling without padding: its input is at least as large as its window."""
    poolings = [node for node in nodes if node.op in POOLINGS and node.input and _text(node, "padding") == b"VALID"]
    for node in poolings:
        prefix = f"{node.name}{SIZE_GUARD}"
        shape = nodes.add(name=f"{prefix}/shape", op="Shape", input=[node.input[0]])
        shape.attr["T"].type = _dtype(node)
        shape.attr["out_type"].type = types_pb2.DT_INT32
        window = _add_constant(nodes, f"{prefix}/window", np.array(_window(node), np.int32))
        axis = _add_constant(nodes, f"{prefix}/axis", np.array([0], np.int32))
        message = _add_constant(nodes, f"{prefix}/message", f"The input of {node.name} is smaller than its window")
        if named is _main_output:
            # In the body of a loop, a constant needs an input from the same body.
            for constant in (window, axis, message):
                constant.input.append(f"^{shape.name}")
        compared = nodes.add(name=f"{prefix}/compared", op="GreaterEqual")
        compared.input.extend([named(shape.name, "output"), named(window.name, "output")])
        compared.attr["T"].type = types_pb2.DT_INT32
        all_sizes = nodes.add(name=f"{prefix}/all", op="All")
        all_sizes.input.extend([named(compared.name, "z"), named(axis.name, "output")])
        all_sizes.attr["Tidx"].type = types_pb2.DT_INT32
        guard = nodes.add(name=prefix, op="Assert")
        guard.input.extend([named(all_sizes.name, "output"), named(message.name, "output")])
        guard.attr["T"].list.type.append(types_pb2.DT_STRING)
        node.input.append(f"^{prefix}")


def _window(node: Any) -> list[int]:
    """The smallest sizes of the input. A batch may be empty, and the operator itself checks the depth."""
    sizes = [*node.attr["ksize"].list.i]
    depth = 1 if _text(node, "data_format") in (b"NCHW", b"NCDHW") else len(sizes) - 1
    return [0 if position in (0, depth) else size for position, size in enumerate(sizes)]


def _add_constant(nodes: Any, name: str, value: Any) -> Any:
    tensor = tensor_util.make_tensor_proto(value)
    node = nodes.add(name=name, op="Const")
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def _text(node: Any, attribute: str) -> bytes:
    # Reading a missing attribute would add an empty one.
    return bytes(node.attr[attribute].s) if attribute in node.attr else b""


def _dtype(node: Any) -> int:
    return int(node.attr["T"].type) if "T" in node.attr else types_pb2.DT_FLOAT
