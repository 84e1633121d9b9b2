"""Optimises a graph by grappler. Runs in the child process only: grappler may abort it or take any amount of memory."""

from collections.abc import Collection, Iterable, Mapping
from math import prod
from typing import Any

import tensorflow as tf
from tensorflow.python.grappler import tf_optimizer

from serve.engines.preparation.nodes import nodes_upstream, replace_inputs

# Grappler allocates an input of every shape that is declared. Dimensions of larger ones are hidden from it.
MAX_DECLARED_ELEMENTS = 1 << 20
# To find which outputs an input leads to, at most this many nodes are visited.
MAX_SPLIT_STEPS = 10_000_000
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderWithDefault", "PlaceholderV2"})


def optimise(
    graph_def: Any, feeds: Mapping[str, int], fetches: set[str], init_ops: Iterable[str], session_config: Any
) -> Any:
    """Runs grappler with a signature made for it: it fails on sparse tensors and on outputs that are inputs.

    `feeds` are the fed nodes and their dtypes.
    """
    fetched = [*fetches - feeds.keys(), *init_ops]
    if not fetched:
        return graph_def
    item = tf.compat.v1.MetaGraphDef()
    item.graph_def.CopyFrom(graph_def)
    item.meta_info_def.tags.append("serve")
    split = _split_placeholders(item.graph_def, feeds, fetched)
    for node in item.graph_def.node:
        if node.op in _PLACEHOLDERS:
            _hide_large_dimensions(node.attr["shape"].shape)
            node.attr.pop("_output_shapes", None)
        name = split.get(node.name, node.name)
        if name in feeds:
            info = item.signature_def["serving_default"].inputs[node.name]
            info.name, info.dtype = f"{node.name}:0", feeds[name]
            info.tensor_shape.unknown_rank = True
    item.collection_def["train_op"].node_list.value.extend(fetched)
    optimised = tf_optimizer.OptimizeGraph(session_config, item)
    _merge_placeholders(optimised, split)
    for node in optimised.node:
        # oneDNN's rewriting of the graph reads the shapes that grappler notes, and aborts if a rank is unknown.
        if "_input_shapes" in node.attr and any(s.unknown_rank for s in node.attr["_input_shapes"].list.shape):
            del node.attr["_input_shapes"]
    return optimised


def _split_placeholders(graph_def: Any, feeds: Collection[str], fetched: Collection[str]) -> dict[str, str]:
    """Gives the consumers of a placeholder that lead to different outputs placeholders of their own.

    Grappler assumes that a run computes all outputs. From a convolution that one output needs, it would conclude that
    the input has four dimensions, and fold the rank or the size of it for another output too. Returns the placeholders
    that were added and the names of those that they stand for.
    """
    nodes = {node.name: node for node in graph_def.node}
    placeholders = {name for name in feeds if name in nodes and nodes[name].op in _PLACEHOLDERS}
    if len(fetched) < 2 or len(fetched) * len(nodes) > MAX_SPLIT_STEPS:
        return {}
    outputs: dict[str, int] = {}
    for number, fetch in enumerate(fetched):
        for node in nodes_upstream(nodes, [fetch]):
            outputs[node.name] = outputs.get(node.name, 0) | 1 << number
    added: dict[tuple[str, int], str] = {}
    for node in nodes.values():
        for position, source in enumerate(node.input):
            name = source.removesuffix(":0")
            if name in placeholders and node.name in outputs and outputs[node.name] != outputs[name]:
                key = name, outputs[node.name]
                if key not in added:
                    added[key] = f"{name}/split_{len(added)}"
                    placeholder = graph_def.node.add()
                    placeholder.CopyFrom(nodes[name])
                    placeholder.name = added[key]
                node.input[position] = added[key]
    return {new: name for (name, _), new in added.items()}


def _merge_placeholders(graph_def: Any, split: Mapping[str, str]) -> None:
    """Undoes _split_placeholders."""
    if split:
        replace_inputs(graph_def, {**split, **{f"^{new}": f"^{name}" for new, name in split.items()}})
        for node in [node for node in graph_def.node if node.name in split]:
            graph_def.node.remove(node)


def _hide_large_dimensions(shape: Any) -> None:
    """Declares the known dimensions of a large shape as unknown, which is true of every shape."""
    if shape.unknown_rank or prod(max(1, dim.size) for dim in shape.dim) <= MAX_DECLARED_ELEMENTS:
        return
    for dim in shape.dim:
        dim.size = -1
