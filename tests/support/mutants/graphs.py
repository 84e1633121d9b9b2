"""Changes of a graph and its function library."""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.mutants.metadata import change_collections, change_meta_graphs, change_metadata, change_saver
from tests.support.mutants.signatures import change_signature
from tests.support.mutants.values import NAMES, SIZES


def _any_nodes(meta_graph: Any, chance: Random) -> Any:
    """The nodes of the graph, or of one function."""
    functions = [function for function in meta_graph.graph_def.library.function if function.node_def]
    main = meta_graph.graph_def.node
    return chance.choice(functions).node_def if functions and (not main or chance.random() < 0.6) else main


def drop_inferred_shapes(meta_graph: Any) -> None:
    """Removes the shapes that TensorFlow compares with those it infers, so that more mutants can be loaded."""
    library = meta_graph.graph_def.library.function
    for nodes in (meta_graph.graph_def.node, *(function.node_def for function in library)):
        for node in nodes:
            node.attr.pop("_output_shapes", None)


def change_one_signature(meta_graph: Any, chance: Random) -> None:
    if meta_graph.signature_def:
        name = chance.choice(sorted(meta_graph.signature_def))
        change_signature(meta_graph, meta_graph.signature_def[name], chance)


def _any_two(items: Any, chance: Random) -> tuple[Any, Any]:
    """Returns two items, which can be the same."""
    return chance.choice(items), chance.choice(items)


def rename_signature(meta_graph: Any, chance: Random) -> None:
    if meta_graph.signature_def:
        name = chance.choice(sorted(meta_graph.signature_def))
        to = chance.choice(("", "x" * 70000, "__saved_model_init_op", "\u2603", "a b", "serving_default"))
        meta_graph.signature_def[to].CopyFrom(meta_graph.signature_def[name])
        if to != name:
            del meta_graph.signature_def[name]


def change_node(meta_graph: Any, chance: Random) -> None:  # noqa: C901
    nodes = _any_nodes(meta_graph, chance)
    if not nodes:
        return
    node, other = _any_two(nodes, chance)
    match chance.randrange(10):
        case 0:
            nodes.remove(node)
        case 1:
            node.name = chance.choice((other.name, "", "_hidden", "a b", "\u2603", "x" * 70000))
        case 2:
            node.op = other.op
        case 3:
            node.op = chance.choice(("", "NoSuchOp", "Abort", "_Arg", "_Send", "Placeholder", "NoOp", "Identity"))
        case 4:
            node.device = chance.choice(("/device:GPU:0", "/job:worker/task:7", "/device:CPU:99", "nowhere", "/"))
        case 5 if node.attr:
            del node.attr[chance.choice(sorted(node.attr))]
        case 6:
            nodes.add().CopyFrom(node)
        case 7:
            node.attr["_class"].list.s.append(f"loc:@{chance.choice((other.name, 'none'))}".encode())
        case 8:
            node.attr[chance.choice(("_output_shapes", "extra", "_XlaCompile", "_kernel"))].s = b"odd"
        case 9:
            node.attr["_input_shapes"].list.shape.add(unknown_rank=True)


def change_input(meta_graph: Any, chance: Random) -> None:
    nodes = _any_nodes(meta_graph, chance)
    if not nodes:
        return
    node, other = chance.choice(nodes), chance.choice(nodes)
    if not node.input:
        node.input.append(f"^{other.name}")
        return
    position = chance.randrange(len(node.input))
    match chance.randrange(7):
        case 0:
            node.input[position] = other.input[0] if other.input else other.name
        case 1:
            node.input[position] = chance.choice(NAMES)
        case 2:
            del node.input[position]
        case 3:
            node.input.append(f"^{other.name}")
        case 4:
            node.input.insert(0, node.input[-1])
        case 5:
            node.input[position] = node.name
        case 6:
            swapped = chance.randrange(len(node.input))
            node.input[position], node.input[swapped] = node.input[swapped], node.input[position]


def change_attribute(meta_graph: Any, chance: Random) -> None:  # noqa: C901
    nodes = [node for node in _any_nodes(meta_graph, chance) if node.attr]
    if not nodes:
        return
    node = chance.choice(nodes)
    attribute = node.attr[chance.choice(sorted(node.attr))]
    match attribute.WhichOneof("value"), chance.randrange(4):
        case _, 0:
            chance.choice((_make_type, _make_shape, _make_number, _make_text, _make_function))(attribute, chance)
        case "type", _:
            _make_type(attribute, chance)
        case "shape", _:
            if attribute.shape.dim and chance.random() < 0.5:
                chance.choice(attribute.shape.dim).size = chance.choice(SIZES)
            else:
                attribute.shape.dim.add(size=chance.choice(SIZES))
        case "i" | "f" | "b", _:
            _make_number(attribute, chance)
        case "s", _:
            _make_text(attribute, chance)
        case "func", _:
            attribute.func.name = _any_function(meta_graph, chance)
        case "tensor", _:
            _change_tensor(attribute.tensor, chance)
        case "list", _:
            _change_list(attribute.list, chance)


def _make_type(attribute: Any, chance: Random) -> None:
    attribute.type = chance.choice((*range(31), 101, 107, 12345))


def _make_shape(attribute: Any, chance: Random) -> None:
    attribute.shape.dim.add(size=chance.choice(SIZES))


def _make_number(attribute: Any, chance: Random) -> None:
    kind = attribute.WhichOneof("value")
    if kind == "b":
        attribute.b = not attribute.b
    elif kind == "f":
        attribute.f = chance.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
    else:
        attribute.i = chance.choice((0, 1, -1, 2, 3, 64, 1 << 31, -(1 << 63)))


def _make_text(attribute: Any, chance: Random) -> None:
    attribute.s = chance.choice((b"", b"NHWC", b"NCHW", b"VALID", b"EXPLICIT", b"\xff\xfe", b"x" * 1000))


def _make_function(attribute: Any, chance: Random) -> None:
    attribute.func.name = chance.choice(("", "no_such_function", "Identity"))


def _change_list(values: Any, chance: Random) -> None:
    kinds = [field.name for field, _ in values.ListFields()]
    if not kinds:
        values.i.append(1)
        return
    field = getattr(values, chance.choice(kinds))
    if chance.random() < 0.3:
        del field[chance.randrange(len(field))]
    elif hasattr(field, "add"):
        field.add()
    elif isinstance(field[0], int):
        field[chance.randrange(len(field))] = chance.choice((0, 1, 2, 3, 5, 9))
    else:
        field.append(field[0])


def change_constant(meta_graph: Any, chance: Random) -> None:
    nodes = [node for node in _any_nodes(meta_graph, chance) if node.op == "Const"]
    if nodes:
        _change_tensor(chance.choice(nodes).attr["value"].tensor, chance)


def _change_tensor(tensor: Any, chance: Random) -> None:
    dims = tensor.tensor_shape.dim
    match chance.randrange(7):
        case 0:
            dims.add(size=chance.choice(SIZES))
        case 1 if dims:
            chance.choice(dims).size = chance.choice(SIZES)
        case 2:
            tensor.tensor_content = tensor.tensor_content[:-1] or b"\x01\x02\x03"
        case 3:
            tensor.dtype = chance.randint(0, 30)
        case 4 if tensor.tensor_content:
            content = bytearray(tensor.tensor_content)
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            tensor.tensor_content = bytes(content)
        case 5 if tensor.int_val:
            position = chance.randrange(len(tensor.int_val))
            tensor.int_val[position] = chance.choice((0, 1, -1, 2, 7, 1 << 20, -(1 << 31)))
        case 6 if dims:
            del dims[chance.randrange(len(dims))]


def add_cycle(meta_graph: Any, chance: Random) -> None:
    nodes = meta_graph.graph_def.node
    if len(nodes) > 1:
        first, second = chance.sample([*nodes], 2)
        for node, source in ((first, second), (second, first)):
            if node.input and chance.random() < 0.7:
                node.input[0] = source.name
            else:
                node.input.append(f"^{source.name}")


def _any_function(meta_graph: Any, chance: Random) -> str:
    names = [function.signature.name for function in meta_graph.graph_def.library.function]
    return str(chance.choice([*names, "no_such_function"]))


def change_function(meta_graph: Any, chance: Random) -> None:  # noqa: C901
    functions = meta_graph.graph_def.library.function
    if not functions:
        return
    function, other = _any_two(functions, chance)
    match chance.randrange(9):
        case 0:
            functions.remove(function)
        case 1:
            function.signature.name = chance.choice((other.signature.name, "", "renamed", "MatMul"))
        case 2:
            del function.node_def[:]
            function.node_def.extend(other.node_def)
        case 3:  # recursion
            call = function.node_def.add(name="again", op="PartitionedCall")
            call.attr["f"].func.name = function.signature.name
            call.attr["Tin"].list.SetInParent()
            call.attr["Tout"].list.SetInParent()
            if function.signature.output_arg and chance.random() < 0.5:
                call.attr["Tout"].list.type.append(function.signature.output_arg[0].type)
                function.ret[function.signature.output_arg[0].name] = "again:output:0"
        case 4 if function.ret:
            function.ret[chance.choice(sorted(function.ret))] = chance.choice(("none:output:0", *function.ret.values()))
        case 5 if function.signature.input_arg:
            del function.signature.input_arg[0]
        case 6 if function.signature.input_arg:
            chance.choice(function.signature.input_arg).type = chance.randint(0, 30)
        case 7 if function.signature.output_arg:
            del function.signature.output_arg[0]
        case 8:
            functions.add().CopyFrom(function)


CHANGES: tuple[Callable[[Any, Random], None], ...] = (
    *(change_node, change_node, change_node),
    *(change_input, change_input, change_input),
    *(change_attribute, change_attribute, change_attribute, change_attribute),
    *(change_constant, change_constant, add_cycle),
    *(change_function, change_function, change_one_signature, rename_signature),
    *(change_collections, change_saver, change_metadata, change_meta_graphs),
)
# Those that change the SavedModel, not a meta graph.
WHOLE = frozenset({change_meta_graphs})
