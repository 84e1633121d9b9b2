"""Finds the side effects of a graph: whether it assigns variables, draws random numbers or calls Python.

Works on the GraphDefs of TensorFlow and on those of `wire`, which have the same fields. Follows function calls, loops
and branches; nodes and functions that the outputs do not depend on are ignored.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tfx_export.savedmodel.denied_ops import PYTHON_OPS

# A GraphDef, a FunctionDef or a NodeDef, of TensorFlow or of `wire`.
Message: TypeAlias = Any
Functions: TypeAlias = Mapping[str, Message]

_ASSIGNS = re.compile(r"(Resource)?(Assign|Scatter|StridedSliceAssign|Apply|SparseApply|CountUpTo)")
_ASSIGNS_NOTHING = {"ScatterNd", "ScatterNdNonAliasingAdd"}
# Generators of random numbers, and ops that advance the state of one.
_RANDOM = re.compile(
    r".*(Random|Multinomial|TruncatedNormal|StandardNormal|StatefulUniform|CandidateSampler|SampleDistorted)|Rng"
)
# Their output is the variable that is their input.
_PASS_ON = {"Identity", "RefIdentity", "Enter", "RefEnter", "Switch", "RefSwitch"}
# Their first input selects the function to call and is not passed to it.
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}


@dataclass(frozen=True)
class GraphEffects:
    """The side effects of a graph, and the nodes that its outputs need.

    `assigned` are the names of the nodes whose variables it assigns: the variables' own nodes, or the placeholders for
    captured variables. `random` is whether it draws random numbers. `python` are the names of nodes that call Python.
    """

    assigned: tuple[str, ...]
    random: bool
    python: tuple[str, ...]
    needed: frozenset[str]


def find_effects(graph: Message, outputs: Iterable[str]) -> GraphEffects:
    """Returns the effects of computing the tensors or nodes `outputs` of the GraphDef `graph`."""
    functions = {function.signature.name: function for function in graph.library.function}
    nodes = {node.name: node for node in graph.node}
    names = _dependencies(nodes, map(node_of, outputs))
    needed = [nodes[name] for name in names]
    inside = [node for function in _called_functions(needed, functions) for node in function.node_def]
    assigned = _assigned(needed, nodes, functions, {})
    python = dict.fromkeys(node.name for node in [*needed, *inside] if node.op in PYTHON_OPS)
    return GraphEffects(
        tuple(sorted(assigned)),
        any(_RANDOM.match(node.op) for node in [*needed, *inside]),
        tuple(python),
        frozenset(names),
    )


def node_of(tensor: str) -> str:
    """Returns the node of a tensor or control input: `^a` -> `a`, `a:1` -> `a`."""
    return tensor.lstrip("^").partition(":")[0]


def _dependencies(nodes: Mapping[str, Message], targets: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    waiting = list(targets)
    while waiting:
        name = waiting.pop()
        if name not in found and name in nodes:
            found[name] = None
            waiting.extend(map(node_of, nodes[name].input))
    return list(found)


def _called(node: Message, functions: Functions) -> list[Message]:
    names = [node.op, *(value.func.name for value in node.attr.values())]
    names += [one.name for value in node.attr.values() for one in value.list.func]
    return [functions[name] for name in names if name in functions]


def _called_functions(nodes: Iterable[Message], functions: Functions) -> Iterator[Message]:
    """Yields the functions that `nodes` call, directly and indirectly, each once."""
    seen: set[str] = set()
    waiting = list(nodes)
    while waiting:
        for function in _called(waiting.pop(), functions):
            if function.signature.name not in seen:
                seen.add(function.signature.name)
                waiting.extend(function.node_def)
                yield function


def _assigned(
    needed: Collection[Message], nodes: Mapping[str, Message], functions: Functions, known: dict[str, set[int]]
) -> set[str]:
    """Returns the nodes or arguments whose variables the nodes `needed` assign, directly or in functions they call."""
    found = set()
    for node in needed:
        if node.input and _ASSIGNS.match(node.op) and node.op not in _ASSIGNS_NOTHING:
            found.add(_origin(node.input[0], nodes))
        first = 1 if node.op in _BRANCHES else 0
        for function in _called(node, functions):
            for position in _assigned_arguments(function, functions, known):
                if first + position < len(node.input):
                    found.add(_origin(node.input[first + position], nodes))
    return found


def _assigned_arguments(function: Message, functions: Functions, known: dict[str, set[int]]) -> set[int]:
    name = function.signature.name
    if name not in known:
        known[name] = set()  # ends recursive calls
        nodes = {node.name: node for node in function.node_def}
        assigned = _assigned(nodes.values(), nodes, functions, known)
        known[name] = {
            place for place, argument in enumerate(function.signature.input_arg) if argument.name in assigned
        }
    return known[name]


def _origin(tensor: str, nodes: Mapping[str, Message]) -> str:
    """Returns the node that creates the variable of `tensor`, or the argument of the function that passes it."""
    name = node_of(tensor)
    while name in nodes and nodes[name].op in _PASS_ON:
        name = node_of(nodes[name].input[0])
    return name
