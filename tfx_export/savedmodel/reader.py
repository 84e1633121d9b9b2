"""Reads saved_model.pb or saved_model.pbtxt. It does not parse the graph, so a ResNet50 takes milliseconds."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.recognise import describe, recognise
from tfx_export.savedmodel.signature import Signature

BINARY = "saved_model.pb"
TEXT = "saved_model.pbtxt"


def is_saved_model(folder: Path) -> bool:
    """Whether `folder` holds a SavedModel, judged by its file names."""
    return (folder / BINARY).is_file() or (folder / TEXT).is_file()


def saved_model_file(folder: Path) -> Path:
    """Returns the SavedModel file in `folder`: the binary file if it exists, else the text file."""
    return folder / (BINARY if (folder / BINARY).is_file() else TEXT)


def read_index(folder: Path) -> wire.SavedModelIndex:
    """Reads the SavedModel in `folder` as a `SavedModelIndex`, in which graph and object graph are not parsed.

    Raises SavedModelError if there is no SavedModel file, or if it is damaged.
    """
    try:
        index = _parse(folder)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        found = recognise(saved_model_file(folder))
        why = f"it is {found.what}" if found.is_placeholder else str(error) or "it is not valid text"
        raise SavedModelError(
            f"The SavedModel file in {folder} is damaged: {why}", hint=found.advice if found.is_placeholder else ""
        ) from None
    except OSError as error:
        raise SavedModelError(f"The SavedModel file in {folder} cannot be read: {error.strerror or error}.") from None
    if index is None:
        message, hint = describe(folder, "a valid SavedModel")
        raise SavedModelError(message, hint=hint)
    if not index.meta_graphs:
        raise SavedModelError(
            f"The SavedModel file in {folder} holds no graph: it is empty or truncated.", hint="Copy or fetch it again."
        )
    return index


def _parse(folder: Path) -> wire.SavedModelIndex | None:
    file = saved_model_file(folder)
    if not file.is_file():
        return None
    if file.name == BINARY:
        return wire.SavedModelIndex.FromString(file.read_bytes())
    whole = wire.parse_text(wire.SavedModel, file.read_bytes())
    return wire.SavedModelIndex.FromString(whole.SerializeToString())


def tag_sets(index: wire.SavedModelIndex) -> list[list[str]]:
    """Returns the sorted tags of each meta graph, in the order of the file."""
    return [sorted(meta.meta_info_def.tags) for meta in index.meta_graphs]


def find_meta_graph(index: wire.SavedModelIndex, tags: Iterable[str]) -> wire.MetaGraphIndex:
    """Returns the meta graph with exactly `tags`. Raises SavedModelError, with the existing tag sets, if none has."""
    wanted = sorted(set(tags))
    for meta in index.meta_graphs:
        if sorted(meta.meta_info_def.tags) == wanted:
            return meta
    raise SavedModelError(f"There is no tag set {','.join(wanted)!r}.", hint=_existing_tag_sets(index))


def choose_meta_graph(index: wire.SavedModelIndex, tag_set: str | None) -> wire.MetaGraphIndex:
    """Returns the meta graph of `tag_set` ("serve,gpu"), or the only meta graph if `tag_set` is None.

    Raises SavedModelError if there is no such tag set, or if `tag_set` is None and there are several.
    """
    if tag_set is not None:
        return find_meta_graph(index, filter(None, (tag.strip() for tag in tag_set.split(","))))
    if len(index.meta_graphs) != 1:
        raise SavedModelError(
            f"There are {len(index.meta_graphs)} tag sets: choose one.", hint=_existing_tag_sets(index)
        )
    return index.meta_graphs[0]


def find_signature(meta_graph: wire.MetaGraphIndex, name: str) -> wire.SignatureDef:
    """Returns the SignatureDef `name`. Raises SavedModelError, with the existing names, if there is none."""
    if name not in meta_graph.signature_def:
        tags = ",".join(sorted(meta_graph.meta_info_def.tags))
        near = get_close_matches(name, meta_graph.signature_def, n=1)
        raise SavedModelError(
            f"There is no signature {name!r} under the tag set {tags!r}.",
            hint=f"Signatures: {', '.join(sorted(meta_graph.signature_def)) or '(none)'}"
            + (f"\nDid you mean --signature_def {near[0]}?" if near else ""),
        )
    return meta_graph.signature_def[name]


def narrow(index: wire.SavedModelIndex, tag_set: str | None, signature: str | None) -> wire.SavedModelIndex:
    """Returns a copy of `index` with one meta graph and, if `signature` is given, only that signature.

    Raises SavedModelError if `choose_meta_graph` or `find_signature` does.
    """
    meta_graph = choose_meta_graph(index, tag_set)
    narrowed = wire.SavedModelIndex(meta_graphs=[meta_graph])
    if signature is not None:
        found = find_signature(meta_graph, signature)
        narrowed.meta_graphs[0].signature_def.clear()
        narrowed.meta_graphs[0].signature_def[signature].CopyFrom(found)
    return narrowed


def signatures(meta_graph: wire.MetaGraphIndex) -> dict[str, Signature]:
    """Returns the signatures of a meta graph by name, sorted."""
    return {
        name: Signature.from_proto(name, meta_graph.signature_def[name]) for name in sorted(meta_graph.signature_def)
    }


def read_signatures(folder: Path, tags: Sequence[str] = ("serve",)) -> dict[str, Signature]:
    """Returns the signatures of the SavedModel in `folder` under `tags`. Raises SavedModelError if there are none."""
    return signatures(find_meta_graph(read_index(folder), tags))


def _existing_tag_sets(index: wire.SavedModelIndex) -> str:
    existing = [",".join(tags) for tags in tag_sets(index)]
    return f"Tag sets: {'; '.join(name or '(none)' for name in existing)}" + (
        f"\nType: --tag_set {existing[0] or repr('')}" if existing else ""
    )
