"""Find out what a lookup table holds: its handle does not tell, and asking it for other dtypes ends the process."""

from collections.abc import Iterable
from typing import Any


def lookup_dtypes(graph_def: Any, handle: str) -> tuple[int, int] | None:
    """Dtypes of keys and values of the table that the node `handle` of `graph_def` stands for, by a look-up in it.

    None if nothing is looked up there. Follows the handle into functions, loops and branches.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    return _search(graph_def.node, handle, functions)


def _search(nodes: Iterable[Any], handle: str, functions: dict[str, Any]) -> tuple[int, int] | None:
    nodes = list(nodes)
    for node in nodes:
        for position, name in enumerate(node.input):
            if name.partition(":")[0] != handle:
                continue
            if node.op == "LookupTableFindV2":
                return node.attr["Tin"].type, node.attr["Tout"].type
            if node.op == "Identity" and (found := _search(nodes, node.name, functions)):
                return found
            for function in _called(node, functions):
                # The first input of a branch is what it is decided by, and not handed on.
                arguments = function.signature.input_arg
                place = position - 1 if "If" in node.op or "Case" in node.op else position
                if place < len(arguments) and (found := _search(function.node_def, arguments[place].name, functions)):
                    return found
    return None


def _called(node: Any, functions: dict[str, Any]) -> list[Any]:
    names = [value.func.name for value in node.attr.values() if value.HasField("func")]
    names += [one.name for value in node.attr.values() for one in value.list.func]
    return [functions[name] for name in names if name in functions]
