"""The graph of a SavedModel, where somebody asks for it: the ops it uses and the order its functions are loaded in."""

from collections import defaultdict

from tfx_export import wire

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def parse_graph(meta_graph: wire.Message) -> wire.Message:
    """The GraphDef of a meta graph read by `reader.read_index`."""
    return wire.GraphDef.FromString(meta_graph.graph_def)


def ops_used(graph: wire.Message) -> list[str]:
    """The ops that `graph` can reach: its nodes and the functions they call by name, sorted."""
    functions = {function.signature.name: function for function in graph.library.function}
    used: set[str] = set()
    waiting = [graph.node]
    while waiting:
        for node in waiting.pop():
            called = (node.op, node.attr["f"].func.name) if node.op in _CALLS else (node.op,)
            for name in called:
                if name not in used and name in functions:
                    waiting.append(functions[name].node_def)
                used.add(name)
    return sorted(used - functions.keys())


def load_order(graph: wire.Message) -> dict[str, int]:
    """Function name -> its place when TensorFlow loads the library: what is called comes before its callers."""
    names = {function.signature.name for function in graph.library.function}
    gradients = {gradient.registered_op_type: gradient.gradient_func for gradient in graph.library.registered_gradients}
    callers: dict[str, list[str]] = defaultdict(list)
    missing: dict[str, int] = {}
    for function in graph.library.function:
        called = _called(function, names, gradients)
        missing[function.signature.name] = len(called)
        for name in called:
            callers[name].append(function.signature.name)
    ready = [name for name, count in missing.items() if count == 0]
    order: dict[str, int] = {}
    while ready:
        name = ready.pop()
        order[name] = len(order)
        for caller in callers[name]:
            missing[caller] -= 1
            if missing[caller] == 0:
                ready.append(caller)
    return order


def _called(function: wire.Message, names: set[str], gradients: dict[str, str]) -> set[str]:
    called: set[str] = set()
    for node in function.node_def:
        gradient = node.attr["_gradient_op_type"].s.decode() if "_gradient_op_type" in node.attr else ""
        if node.op in names:
            called.add(node.op)
        elif gradient in gradients and node.op not in _CALLS:
            called.add(gradients[gradient])
        else:
            for attr in node.attr.values():
                called.update(item.name for item in (attr.func, *attr.list.func) if item.name)
    return called & names
