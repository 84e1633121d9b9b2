"""Read saved_model.pb or saved_model.pbtxt. The graph is not parsed: signatures of a ResNet50 cost milliseconds."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.version_folders import list_versions

BINARY = "saved_model.pb"
TEXT = "saved_model.pbtxt"


def is_saved_model(folder: Path) -> bool:
    """Whether `folder` holds a SavedModel, by its file names."""
    return (folder / BINARY).is_file() or (folder / TEXT).is_file()


def saved_model_file(folder: Path) -> Path:
    """The file in `folder` that makes it a SavedModel; binary goes before text."""
    return folder / (BINARY if (folder / BINARY).is_file() else TEXT)


def read_index(folder: Path) -> wire.SavedModelIndex:
    """The `SavedModelIndex` (all but graph and object graph parsed) of the SavedModel in `folder`.

    Raises SavedModelError if there is none, or if the file is no SavedModel.
    """
    try:
        index = _parse(folder)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise SavedModelError(f"The SavedModel file in {folder} is damaged: {error}") from None
    except OSError as error:
        raise SavedModelError(f"The SavedModel file in {folder} cannot be read: {error.strerror or error}.") from None
    if index is None:
        raise SavedModelError(
            f"{folder} is no SavedModel: it holds neither {BINARY} nor {TEXT}.",
            hint=_what_is_there(folder),
        )
    if not index.meta_graphs:
        raise SavedModelError(f"The SavedModel file in {folder} holds no graph: it is empty or was cut off.")
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
    """The tag set of each meta graph, in the order of the file, tags sorted."""
    return [sorted(meta.meta_info_def.tags) for meta in index.meta_graphs]


def find_meta_graph(index: wire.SavedModelIndex, tags: Iterable[str]) -> wire.MetaGraphIndex:
    """The meta graph whose tag set is exactly `tags`. Raises SavedModelError naming those that exist."""
    wanted = sorted(set(tags))
    for meta in index.meta_graphs:
        if sorted(meta.meta_info_def.tags) == wanted:
            return meta
    raise SavedModelError(f"There is no tag set {','.join(wanted)!r}.", hint=_existing_tag_sets(index))


def choose_meta_graph(index: wire.SavedModelIndex, tag_set: str | None) -> wire.MetaGraphIndex:
    """The meta graph of `tag_set` ("serve,gpu"), or the only one if `tag_set` is None. Raises SavedModelError."""
    if tag_set is not None:
        return find_meta_graph(index, filter(None, (tag.strip() for tag in tag_set.split(","))))
    if len(index.meta_graphs) != 1:
        raise SavedModelError(f"Which of the {len(index.meta_graphs)} tag sets?", hint=_existing_tag_sets(index))
    return index.meta_graphs[0]


def find_signature(meta_graph: wire.MetaGraphIndex, name: str) -> wire.SignatureDef:
    """The SignatureDef `name` of a meta graph. Raises SavedModelError naming those that exist."""
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
    """A copy of `index` with one meta graph and, if `signature` is given, that signature alone."""
    meta_graph = choose_meta_graph(index, tag_set)
    narrowed = wire.SavedModelIndex(meta_graphs=[meta_graph])
    if signature is not None:
        found = find_signature(meta_graph, signature)
        narrowed.meta_graphs[0].signature_def.clear()
        narrowed.meta_graphs[0].signature_def[signature].CopyFrom(found)
    return narrowed


def signatures(meta_graph: wire.MetaGraphIndex) -> dict[str, Signature]:
    """The signatures of a meta graph by name, sorted."""
    return {
        name: Signature.from_proto(name, meta_graph.signature_def[name]) for name in sorted(meta_graph.signature_def)
    }


def read_signatures(folder: Path, tags: Sequence[str] = ("serve",)) -> dict[str, Signature]:
    """The signatures of the SavedModel in `folder` under `tags`."""
    return signatures(find_meta_graph(read_index(folder), tags))


def _existing_tag_sets(index: wire.SavedModelIndex) -> str:
    existing = [",".join(tags) for tags in tag_sets(index)]
    return f"Tag sets: {'; '.join(name or '(none)' for name in existing)}" + (
        f"\nType: --tag_set {existing[0] or repr('')}" if existing else ""
    )


def _what_is_there(folder: Path) -> str:
    if not folder.is_dir():
        parent = next(path for path in folder.absolute().parents if path.is_dir())
        return f"There is no such folder. {parent} holds: {_listing(parent)}"
    newest = next(iter(list_versions(folder).values()), None)
    return f"It holds: {_listing(folder)}" + (f"\nTake a version: {newest}" if newest else "")


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
