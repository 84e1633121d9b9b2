"""Edits the signatures of an existing SavedModel. The graph and the weights stay the same, byte for byte.

A TF2 SavedModel holds its signatures twice: as SignatureDefs, which sessions and servers read, and as objects, which
`tf.saved_model.load` reads. Each edit changes both or raises an error.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from google.protobuf.internal.containers import MessageMap
from google.protobuf.message import Message

from tfx_export import wire
from tfx_export.errors import SavedModelError, SpecError
from tfx_export.savedmodel import warmup_requests
from tfx_export.savedmodel.graph import find_tensor
from tfx_export.savedmodel.object_graph import ObjectSignatures
from tfx_export.savedmodel.reader import choose_meta_graph, find_signature, read_index
from tfx_export.savedmodel.save_edited import save_copy, save_in_place
from tfx_export.savedmodel.serving_methods import check_serving_method, full_method_name
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature

Entry = TypeVar("Entry", bound=Message)


class SignatureEditor:
    """Edits the SavedModel in `folder`, in memory until `save_copy` or `save_in_place`. Does not need TensorFlow.

    `tag_set` ("serve,gpu") may be omitted if there is only one. Each method raises SavedModelError if a name does not
    exist or cannot be changed for sessions and `tf.saved_model.load` alike, and SpecError if the edit breaks a rule of
    TensorFlow Serving.
    """

    def __init__(self, folder: Path | str, tag_set: str | None = None) -> None:
        self.folder = Path(folder)
        self._index = read_index(self.folder)
        self._meta_graph = choose_meta_graph(self._index, tag_set)
        self._signatures = self._meta_graph.signature_def
        graph = self._meta_graph.object_graph_def
        self._objects = ObjectSignatures(graph) if graph else None
        self._renames = warmup_requests.RequestRenames()

    def add(self, name: str, like: str, outputs: tuple[str, ...] = ()) -> None:
        """Adds the signature `name` with the inputs, outputs and method of the signature `like`.

        `outputs` limits the outputs to these names; the default is all.
        """
        self._require_free(name)
        source = find_signature(self._meta_graph, like)
        missing = set(outputs) - set(source.outputs)
        if missing:
            raise self._unknown("output", like, sorted(missing)[0], source.outputs)
        if outputs and set(outputs) != set(source.outputs) and self._objects:
            raise SavedModelError(
                f"tf.saved_model.load would still return all outputs of {like!r}: its function cannot be changed here.",
                hint="Add it without --output. Clients can select single outputs with output_filter.",
            )
        if self._objects:
            self._objects.alias(name, like)
        self._signatures[name].CopyFrom(source)
        for key in set(source.outputs) - set(outputs or source.outputs):
            del self._signatures[name].outputs[key]

    def define(self, name: str, inputs: Mapping[str, str], outputs: Mapping[str, str], method: str = "predict") -> None:
        """Adds the signature `name` on tensors of the graph. Not for TF2 models.

        `inputs` and `outputs` map the client's names to tensors: `{"x": "x:0"}`, `{"scores": "softmax:0"}`.
        `method` is predict, classify or regress.
        """
        self._require_free(name)
        if self._objects:
            raise SavedModelError(
                "tf.saved_model.load calls a function for each signature, and these tensors have no function.",
                hint="To add a signature without tensors: tfx-export sig add NAME --like EXISTING",
            )
        if not outputs:
            raise SpecError(f"Signature {name!r} needs at least one output.")
        signature = Signature(
            name,
            full_method_name(method),
            {key: find_tensor(self._meta_graph, tensor) for key, tensor in inputs.items()},
            {key: find_tensor(self._meta_graph, tensor) for key, tensor in outputs.items()},
        )
        check_serving_method(signature)
        self._signatures[name].CopyFrom(signature.to_proto())

    def rename(self, old: str, new: str) -> None:
        """Renames the signature `old` to `new`."""
        source = find_signature(self._meta_graph, old)
        self._require_free(new)
        self._require_no_initializer(old)
        if self._objects:
            self._objects.rename(old, new)
        self._signatures[new].CopyFrom(source)
        del self._signatures[old]
        self._renames.rename_signature(old, new)

    def remove(self, name: str) -> None:
        """Removes the signature `name`. Raises SpecError for the last one, because a model needs a signature."""
        find_signature(self._meta_graph, name)
        self._require_no_initializer(name)
        if len([key for key in self._signatures if not key.startswith("__")]) == 1:
            raise SpecError(f"{name!r} is the only signature: without it, clients cannot call the model.")
        if self._objects:
            self._objects.remove(name)
        del self._signatures[name]

    def set_default(self, name: str, keep_as: str = "") -> None:
        """Makes `serving_default` a second name of the signature `name`.

        The present `serving_default` is kept under the name `keep_as`. Raises SpecError if it would be lost.
        """
        source = find_signature(self._meta_graph, name)
        if name == DEFAULT_SIGNATURE:
            raise SpecError(f"{name!r} is already the default.")
        if keep_as:
            self.rename(DEFAULT_SIGNATURE, keep_as)
        elif DEFAULT_SIGNATURE in self._signatures and not self._has_copy(DEFAULT_SIGNATURE):
            raise SpecError(
                f"The present {DEFAULT_SIGNATURE} has no other name and would be lost.",
                hint="Keep it under another name: --keep-as NAME",
            )
        if self._objects:
            self._objects.alias(DEFAULT_SIGNATURE, name)
        self._signatures[DEFAULT_SIGNATURE].CopyFrom(source)

    def rename_input(self, name: str, old: str, new: str) -> None:
        """Renames the input `old` of the signature `name`: clients send it as `new`."""
        signature = find_signature(self._meta_graph, name)
        self._require_renamable("input", name, signature.inputs, old, new)
        if self._objects:
            self._objects.rename_input(name, old, new)
        _rename(signature.inputs, old, new)
        if old in signature.defaults:
            _rename(signature.defaults, old, new)
        self._check(name)
        self._renames.rename_input(name, old, new)

    def rename_output(self, name: str, old: str, new: str) -> None:
        """Renames the output `old` of the signature `name`: clients receive it as `new`."""
        signature = find_signature(self._meta_graph, name)
        self._require_renamable("output", name, signature.outputs, old, new)
        if self._objects:
            self._objects.rename_output(name, old, new)
        _rename(signature.outputs, old, new)
        self._check(name)
        self._renames.rename_output(name, old, new)

    def set_method(self, name: str, method: str) -> None:
        """Sets the method of the signature `name` to predict, classify or regress, or the method's full name."""
        signature = find_signature(self._meta_graph, name)
        self._require_no_initializer(name)
        signature.method_name = full_method_name(method)
        self._check(name)

    def save_copy(self, out: Path | str) -> None:
        """Writes a copy of the SavedModel with the new signatures to the folder `out`.

        Raises PublishError if `out` exists or the file system refuses. In the latter case `out` is not created.
        """
        save_copy(self.folder, self._finished(), self._renames, Path(out))

    def save_in_place(self) -> None:
        """Replaces the SavedModel file atomically. Raises PublishError if the file system refuses."""
        save_in_place(self.folder, self._finished(), self._renames)

    def _finished(self) -> wire.SavedModelIndex:
        if self._objects:
            self._meta_graph.object_graph_def = self._objects.serialize()
        return self._index

    def _check(self, name: str) -> None:
        check_serving_method(Signature.from_proto(name, self._signatures[name]))

    def _has_copy(self, name: str) -> bool:
        return any(other == self._signatures[name] for key, other in self._signatures.items() if key != name)

    def _require_free(self, name: str) -> None:
        if not name or name.startswith("__"):
            raise SpecError(
                f"{name!r} cannot be the name of a signature.", hint="TensorFlow reserves names that begin with __."
            )
        if name in self._signatures:
            raise SpecError(f"There is a signature {name!r} already.", hint=f"Signatures: {', '.join(self._names())}")

    def _require_no_initializer(self, name: str) -> None:
        if name.startswith("__"):
            raise SpecError(f"{name!r} cannot be edited: TensorFlow runs it when it loads the model.")

    def _require_renamable(
        self, kind: str, name: str, tensors: Mapping[str, wire.TensorInfo], old: str, new: str
    ) -> None:
        self._require_no_initializer(name)
        if old not in tensors:
            raise self._unknown(kind, name, old, tensors)
        if not new or new in tensors:
            raise SpecError(f"Signature {name!r} has an {kind} {new!r} already." if new else f"An {kind} needs a name.")

    def _unknown(self, kind: str, name: str, key: str, tensors: Iterable[str]) -> SavedModelError:
        return SavedModelError(
            f"Signature {name!r} has no {kind} {key!r}.", hint=f"{kind.capitalize()}s: {', '.join(sorted(tensors))}"
        )

    def _names(self) -> list[str]:
        return sorted(name for name in self._signatures if not name.startswith("__"))


def _rename(entries: MessageMap[str, Entry], old: str, new: str) -> None:
    entries[new].CopyFrom(entries[old])
    del entries[old]
