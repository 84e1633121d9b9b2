"""Change the signatures of an existing SavedModel. The graph and the weights stay as they are, byte for byte.

A TF2 SavedModel holds its signatures twice: SignatureDefs, which sessions and servers read, and objects, which
`tf.saved_model.load` reads. Every edit changes both, or is refused.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from google.protobuf.internal.containers import MessageMap
from google.protobuf.message import Message

from tfx_export import wire
from tfx_export.errors import SavedModelError, SpecError
from tfx_export.savedmodel import warmup_requests
from tfx_export.savedmodel.graph_tensors import find_tensor
from tfx_export.savedmodel.object_graph import ObjectSignatures
from tfx_export.savedmodel.reader import choose_meta_graph, find_signature, read_index
from tfx_export.savedmodel.save_edited import rewrite_copy, rewrite_in_place
from tfx_export.savedmodel.serving_methods import check_serving_method, full_method_name
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature

Entry = TypeVar("Entry", bound=Message)


class SignatureEditor:
    """Edits of one SavedModel, in memory until `save_copy` or `save_in_place`.

    `tag_set` ("serve,gpu") may be left out where there is only one. Every method raises SavedModelError for names that
    do not exist or cannot be changed for both readers, SpecError for edits that break a rule of serving.
    """

    def __init__(self, folder: Path | str, tag_set: str | None = None) -> None:
        self.folder = Path(folder)
        self._index = read_index(self.folder)
        self._meta_graph = choose_meta_graph(self._index, tag_set)
        self._signatures = self._meta_graph.signature_def
        graph = self._meta_graph.object_graph_def
        self._objects = ObjectSignatures(graph) if graph else None
        self._requests = warmup_requests.RequestRenames()

    def add(self, name: str, like: str, outputs: tuple[str, ...] = ()) -> None:
        """Add `name` with the inputs, outputs and method of `like`; of its outputs only `outputs`, if given."""
        self._require_free(name)
        source = find_signature(self._meta_graph, like)
        missing = set(outputs) - set(source.outputs)
        if missing:
            raise self._unknown("output", like, sorted(missing)[0], source.outputs)
        if outputs and set(outputs) != set(source.outputs) and self._objects:
            raise SavedModelError(
                f"tf.saved_model.load would still answer all outputs of {like!r}: its function cannot be cut here.",
                hint="Add it without --output. Clients may ask for single outputs by output_filter.",
            )
        if self._objects:
            self._objects.alias(name, like)
        self._signatures[name].CopyFrom(source)
        for key in set(source.outputs) - set(outputs or source.outputs):
            del self._signatures[name].outputs[key]

    def define(self, name: str, inputs: Mapping[str, str], outputs: Mapping[str, str], method: str = "predict") -> None:
        """Add `name` on tensors of the graph: `{"x": "x:0"}`, `{"scores": "softmax:0"}`. Not for TF2 models."""
        self._require_free(name)
        if self._objects:
            raise SavedModelError(
                "tf.saved_model.load calls a function for each signature, and there is none on these tensors.",
                hint="Without tensors: tfx-export sig add NAME --like EXISTING",
            )
        if not outputs:
            raise SpecError(f"Signature {name!r} needs an output.")
        signature = Signature(
            name,
            full_method_name(method),
            {key: find_tensor(self._meta_graph, tensor) for key, tensor in inputs.items()},
            {key: find_tensor(self._meta_graph, tensor) for key, tensor in outputs.items()},
        )
        check_serving_method(signature)
        self._signatures[name].CopyFrom(signature.to_proto())

    def rename(self, old: str, new: str) -> None:
        """Rename a signature."""
        source = find_signature(self._meta_graph, old)
        self._require_free(new)
        self._require_no_initializer(old)
        if self._objects:
            self._objects.rename(old, new)
        self._signatures[new].CopyFrom(source)
        del self._signatures[old]
        self._requests.rename_signature(old, new)

    def remove(self, name: str) -> None:
        """Remove a signature. The last one cannot be removed: nothing could be asked of the model."""
        find_signature(self._meta_graph, name)
        self._require_no_initializer(name)
        if len([key for key in self._signatures if not key.startswith("__")]) == 1:
            raise SpecError(f"{name!r} is the only signature: without it nothing can be asked of the model.")
        if self._objects:
            self._objects.remove(name)
        del self._signatures[name]

    def set_default(self, name: str, keep_as: str = "") -> None:
        """Let `serving_default` be a second name of the signature `name`.

        What was `serving_default` so far is kept as `keep_as`; SpecError if it would be lost.
        """
        source = find_signature(self._meta_graph, name)
        if name == DEFAULT_SIGNATURE:
            raise SpecError(f"{name!r} is the default already.")
        if keep_as:
            self.rename(DEFAULT_SIGNATURE, keep_as)
        elif DEFAULT_SIGNATURE in self._signatures and not self._has_copy(DEFAULT_SIGNATURE):
            raise SpecError(
                f"The {DEFAULT_SIGNATURE} of today has no other name and would be lost.",
                hint="Keep it under another name: --keep-as NAME",
            )
        if self._objects:
            self._objects.alias(DEFAULT_SIGNATURE, name)
        self._signatures[DEFAULT_SIGNATURE].CopyFrom(source)

    def rename_input(self, name: str, old: str, new: str) -> None:
        """Rename an input of the signature `name`: clients send it as `new`."""
        signature = find_signature(self._meta_graph, name)
        self._require_renamable("input", name, signature.inputs, old, new)
        if self._objects:
            self._objects.rename_input(name, old, new)
        _rename(signature.inputs, old, new)
        if old in signature.defaults:
            _rename(signature.defaults, old, new)
        self._check(name)
        self._requests.rename_input(name, old, new)

    def rename_output(self, name: str, old: str, new: str) -> None:
        """Rename an output of the signature `name`: clients get it as `new`."""
        signature = find_signature(self._meta_graph, name)
        self._require_renamable("output", name, signature.outputs, old, new)
        if self._objects:
            self._objects.rename_output(name, old, new)
        _rename(signature.outputs, old, new)
        self._check(name)
        self._requests.rename_output(name, old, new)

    def set_method(self, name: str, method: str) -> None:
        """Set the method of the signature `name`: predict, classify or regress. Sessions and servers go by it."""
        signature = find_signature(self._meta_graph, name)
        self._require_no_initializer(name)
        signature.method_name = full_method_name(method)
        self._check(name)

    def save_copy(self, out: Path | str) -> None:
        """Write the whole SavedModel with its new signatures to the folder `out`, which must not exist.

        Raises PublishError if the file system refuses; then there is no `out`.
        """
        rewrite_copy(self.folder, self._finished(), self._requests, Path(out))

    def save_in_place(self) -> None:
        """Replace the SavedModel file in one step. Raises PublishError if the file system refuses."""
        rewrite_in_place(self.folder, self._finished(), self._requests)

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
            raise SpecError(f"{name!r} cannot be the name of a signature.", hint="TensorFlow keeps names with __.")
        if name in self._signatures:
            raise SpecError(f"There is a signature {name!r} already.", hint=f"Signatures: {', '.join(self._names())}")

    def _require_no_initializer(self, name: str) -> None:
        if name.startswith("__"):
            raise SpecError(f"{name!r} is no signature of yours: TensorFlow runs it when it loads the model.")

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
