"""Recognises the file given to `tfx-export session`: a checkpoint with its graph, or a frozen graph.

Does not import TensorFlow, so that a wrong path is reported at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from tfx_export.errors import SourceError
from tfx_export.recognise import GRAPH, UNKNOWN, describe, listing, named_checkpoint, recognise

if TYPE_CHECKING:
    import tensorflow as tf

_EXPECTED = "A session is given as a checkpoint with its .meta file, or as a frozen graph (.pb, .pbtxt)."


@dataclass(frozen=True)
class SessionFile:
    """`path` is the .meta file or the frozen graph. `checkpoint` is its prefix, None for a frozen graph."""

    path: Path
    checkpoint: Path | None

    @property
    def description(self) -> str:
        return f"{(self.checkpoint or self.path).name} ({'checkpoint' if self.checkpoint else 'frozen graph'})"

    def graph_def(self, cls: type["tf.compat.v1.GraphDef"]) -> "tf.compat.v1.GraphDef":
        """Reads the frozen graph as an object of the GraphDef class `cls`. Raises SourceError if it is not one."""
        content = self.path.read_bytes()
        try:
            graph = text_format.Parse(content, cls()) if self.path.suffix == ".pbtxt" else cls.FromString(content)
        except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
            raise SourceError(f"{self.path} is not a frozen graph: {error}", hint=_EXPECTED) from None
        if not graph.node:
            raise SourceError(f"{self.path} is not a frozen graph: it holds no nodes.", hint=_EXPECTED)
        return graph


def inspect_session_file(path: Path) -> SessionFile:
    """Recognises a .meta, .index or data file, a prefix, a folder with a `checkpoint` file, or a frozen graph.

    Raises SourceError for anything else, with a description of what it is.
    """
    if path.is_dir():
        return _latest(path)
    if path.name == "checkpoint" and path.is_file():
        return _latest(path.parent)
    if path.suffix in (".pb", ".pbtxt") and path.is_file():
        if recognise(path).what not in (GRAPH, UNKNOWN):
            raise _not_a_session(path)
        return SessionFile(path, None)
    prefix = _prefix(path)
    meta, index = prefix.with_name(f"{prefix.name}.meta"), prefix.with_name(f"{prefix.name}.index")
    if not meta.is_file() or recognise(meta).is_placeholder:
        raise _not_a_session(meta if meta.is_file() else path)
    # A V1 checkpoint is one file that has the prefix as its name.
    if not index.is_file() and not prefix.is_file():
        raise SourceError(
            f"The checkpoint of {meta} is missing: {index.name} does not exist.",
            hint=f"{meta.parent} holds: {listing(meta.parent)}",
        )
    return SessionFile(meta, prefix)


def _prefix(path: Path) -> Path:
    if path.suffix in (".meta", ".index") or ".data-" in path.suffix:
        return path.with_suffix("")
    return path


def _latest(folder: Path) -> SessionFile:
    """Returns the newest checkpoint of a training folder, according to its `checkpoint` file."""
    if name := named_checkpoint(folder / "checkpoint"):
        return inspect_session_file(folder / name)
    metas = sorted(folder.glob("*.meta"))
    if len(metas) == 1:
        return inspect_session_file(metas[0])
    if metas:
        raise SourceError(
            f"{folder} has no file named checkpoint, which would name the newest one.",
            hint=f"Give one of: {', '.join(str(meta) for meta in metas)}",
        )
    raise _not_a_session(folder)


def _not_a_session(path: Path) -> SourceError:
    message, hint = describe(path, "a TF1 checkpoint or a frozen graph")
    return SourceError(message, hint=hint or _EXPECTED)
