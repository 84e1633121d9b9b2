"""Read saved_model.pb or saved_model.pbtxt. The graph is not parsed: signatures of a ResNet50 cost milliseconds."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.signature import Signature

BINARY = "saved_model.pb"
TEXT = "saved_model.pbtxt"


def is_saved_model(folder: Path) -> bool:
    """Whether `folder` holds a SavedModel, by its file names."""
    return (folder / BINARY).is_file() or (folder / TEXT).is_file()


def read_index(folder: Path) -> wire.Message:
    """The `SavedModelIndex` (all but graph and object graph parsed) of the SavedModel in `folder`.

    Raises SavedModelError if there is none, or if the file is no SavedModel.
    """
    try:
        if (folder / BINARY).is_file():
            return wire.SavedModelIndex.FromString((folder / BINARY).read_bytes())
        if (folder / TEXT).is_file():
            whole = wire.parse_text(wire.SavedModel, (folder / TEXT).read_bytes())
            return wire.SavedModelIndex.FromString(whole.SerializeToString())
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise SavedModelError(f"The SavedModel file in {folder} is damaged: {error}") from None
    raise SavedModelError(
        f"{folder} is no SavedModel: it holds neither {BINARY} nor {TEXT}.",
        hint=f"It holds: {_listing(folder)}" if folder.is_dir() else "There is no such folder.",
    )


def tag_sets(index: wire.Message) -> list[list[str]]:
    """The tag set of each meta graph, in the order of the file, tags sorted."""
    return [sorted(meta.meta_info_def.tags) for meta in index.meta_graphs]


def find_meta_graph(index: wire.Message, tags: Iterable[str]) -> wire.Message:
    """The meta graph whose tag set is exactly `tags`. Raises SavedModelError naming those that exist."""
    wanted = sorted(set(tags))
    for meta in index.meta_graphs:
        if sorted(meta.meta_info_def.tags) == wanted:
            return meta
    existing = "; ".join(",".join(tags) or "(none)" for tags in tag_sets(index))
    raise SavedModelError(f"There is no tag set {','.join(wanted)!r}.", hint=f"Tag sets in the SavedModel: {existing}")


def signatures(meta_graph: wire.Message) -> dict[str, Signature]:
    """The signatures of a meta graph by name, sorted."""
    return {
        name: Signature.from_proto(name, meta_graph.signature_def[name]) for name in sorted(meta_graph.signature_def)
    }


def read_signatures(folder: Path, tags: Sequence[str] = ("serve",)) -> dict[str, Signature]:
    """The signatures of the SavedModel in `folder` under `tags`."""
    return signatures(find_meta_graph(read_index(folder), tags))


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
