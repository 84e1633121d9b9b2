"""The object graph of a TF2 SavedModel, and the signatures in it, which `tf.saved_model.load` reads."""

from collections.abc import Collection, MutableSequence, Sequence
from typing import TypeAlias

from google.protobuf.internal.containers import MessageMap
from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.errors import SavedModelError


def parse_objects(object_graph: bytes) -> wire.SavedObjectGraph:
    """Parses the SavedObjectGraph of a TF2 meta graph. Raises SavedModelError if it is damaged."""
    try:
        objects = wire.SavedObjectGraph.FromString(object_graph)
    except DecodeError as error:
        raise SavedModelError(f"The object graph in the SavedModel file is damaged: {error}") from None
    if any(not 0 <= child.node_id < len(objects.nodes) for node in objects.nodes for child in node.children):
        raise SavedModelError("The object graph in the SavedModel file is damaged: an object is missing.")
    return objects


ObjectReference: TypeAlias = wire.TrackableObjectGraph.TrackableObject.ObjectReference


class ObjectSignatures:
    """Edits the signatures in the object graph of one meta graph; `serialize` returns the edited object graph."""

    def __init__(self, object_graph: bytes) -> None:
        self._graph = parse_objects(object_graph)
        root = self._graph.nodes[0].children if self._graph.nodes else ()
        node_ids = [child.node_id for child in root if child.local_name == "signatures"]
        self._signatures = self._graph.nodes[node_ids[0]] if node_ids else self._graph.nodes.add()

    def serialize(self) -> bytes:
        return bytes(self._graph.SerializeToString())

    def rename(self, old: str, new: str) -> None:
        self._child(old).local_name = new

    def remove(self, name: str) -> None:
        self._signatures.children.remove(self._child(name))

    def alias(self, new: str, existing: str) -> None:
        """Makes `new` a second name for the function of the signature `existing`. Replaces a signature called `new`."""
        node_id = self._child(existing).node_id
        for child in [child for child in self._signatures.children if child.local_name == new]:
            self._signatures.children.remove(child)
        self._signatures.children.add(local_name=new, node_id=node_id)

    def rename_input(self, name: str, old: str, new: str) -> None:
        """Renames an argument of the function of signature `name`.

        Raises SavedModelError if this would change something else too.
        """
        bare, function = self._own_function(name)
        _rename_in_place(bare.argument_keywords, old, new)
        for pair in bare.function_spec.fullargspec.named_tuple_value.values:
            if pair.key == "kwonlyargs":
                for value in pair.value.list_value.values:
                    if value.string_value == old:
                        value.string_value = new
        arguments = function.canonicalized_input_signature.tuple_value.values
        if len(arguments) != 2:
            raise SavedModelError(f"The function of signature {name!r} does not take its inputs by name.")
        _rename_field(arguments[1].dict_value.fields, old, new, f"input of {name!r}")

    def rename_output(self, name: str, old: str, new: str) -> None:
        """Renames an output of the function of signature `name`.

        Raises SavedModelError if this would change something else too.
        """
        _, function = self._own_function(name)
        _rename_field(function.output_signature.dict_value.fields, old, new, f"output of {name!r}")

    def _child(self, name: str) -> ObjectReference:
        for child in self._signatures.children:
            if child.local_name == name:
                return child
        raise SavedModelError(
            f"The objects that tf.saved_model.load reads do not have the signature {name!r}: only sessions would see "
            "the change.",
            hint=f"They have: {', '.join(sorted(child.local_name for child in self._signatures.children)) or '(none)'}",
        )

    def _own_function(self, name: str) -> tuple[wire.SavedBareConcreteFunction, wire.SavedConcreteFunction]:
        """Returns the bare function of signature `name` and its types.

        Raises SavedModelError if another signature or object calls the same function.
        """
        bare = self._graph.nodes[self._child(name).node_id].bare_concrete_function
        function = bare.concrete_function_name
        callers = [
            child.local_name
            for node in self._graph.nodes
            for child in node.children
            if function in self._functions(child.node_id)
        ]
        callers.remove(name)
        if callers:
            others = ", ".join(map(repr, callers))
            raise SavedModelError(
                f"The signature {name!r} shares its function with {others}: both would change for tf.saved_model.load.",
                hint=f"If {others} is a signature: remove it, rename, and add it again.",
            )
        return bare, self._graph.concrete_functions[function]

    def _functions(self, node_id: int) -> Sequence[str]:
        node = self._graph.nodes[node_id]
        return (*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name)


def _rename_in_place(names: MutableSequence[str], old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new


def _rename_field(fields: MessageMap[str, wire.StructuredValue], old: str, new: str, what: str) -> None:
    require_same_order(list(fields), old, new, what)
    value = wire.StructuredValue()
    value.CopyFrom(fields[old])
    if value.WhichOneof("kind") == "tensor_spec_value":
        value.tensor_spec_value.name = new
    del fields[old]
    fields[new].CopyFrom(value)


def require_same_order(names: Collection[str], old: str, new: str, what: str) -> None:
    """Raises SavedModelError if renaming `old` to `new` would change the sorted order of `names`.

    TensorFlow passes the values of a function in the sorted order of their names, so a new order would swap them.
    """
    if old not in names:
        raise SavedModelError(f"The objects that tf.saved_model.load reads have no {what} called {old!r}.")
    before = sorted(names)
    renamed = [new if name == old else name for name in before]
    if renamed != sorted(renamed):
        raise SavedModelError(
            f"Renaming {old!r} to {new!r} would swap values in tf.saved_model.load, which takes each {what} in "
            f"alphabetical order: {', '.join(before)} would become {', '.join(sorted(renamed))}.",
            hint=f"Choose a name that sorts {_between(before, old)}, or export again with that name.",
        )


def _between(names: Sequence[str], old: str) -> str:
    index = names.index(old)
    after = f"after {names[index - 1]!r}" if index else ""
    before = f"before {names[index + 1]!r}" if index + 1 < len(names) else ""
    return " and ".join(filter(None, (after, before)))
