"""Compare two SavedModels as a client sees them: does whoever calls A get along with B?

Breaking is what makes a request fail that A answers, or an answer look different from what A's clients unpack.
Ops, sizes and weights are no client's business: they are noted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tfx_export import wire
from tfx_export.savedmodel.graph import ops_used, parse_graph
from tfx_export.savedmodel.reader import choose_meta_graph, find_meta_graph, read_index, signatures, tag_sets
from tfx_export.savedmodel.signature import Shape, Signature, TensorSpec, shape_text
from tfx_export.savedmodel.summary import INIT_OP, summarize

Verdict = Literal["breaking", "compatible", "note"]


@dataclass(frozen=True)
class Change:
    """One difference: what it means for clients, where it is, what it is."""

    verdict: Verdict
    where: str
    what: str


@dataclass(frozen=True)
class Difference:
    """All changes from `a` to `b`, breaking ones first."""

    a: Path
    b: Path
    changes: tuple[Change, ...]

    @property
    def breaking(self) -> bool:
        """Whether a client of `a` may fail with `b`."""
        return any(change.verdict == "breaking" for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`."""
        return {
            "a": str(self.a),
            "b": str(self.b),
            "verdict": "breaking" if self.breaking else "compatible",
            "changes": [asdict(change) for change in self.changes],
        }


def diff(a: Path | str, b: Path | str, *, tag_set: str | None = None) -> Difference:
    """What changes for clients between the SavedModels in the folders `a` and `b`.

    `tag_set` ("serve,gpu") limits it to one graph. Raises SavedModelError for what is no SavedModel.
    """
    a, b = Path(a), Path(b)
    old, new = read_index(a), read_index(b)
    changes: list[Change] = []
    if tag_set is not None:
        changes += _graph_changes(choose_meta_graph(old, tag_set), choose_meta_graph(new, tag_set))
    else:
        changes += _tag_set_changes(old, new)
    changes += _file_changes(a, b, old, new)
    order: list[Verdict] = ["breaking", "compatible", "note"]
    return Difference(a, b, tuple(sorted(changes, key=lambda change: order.index(change.verdict))))


def _tag_set_changes(old: wire.SavedModelIndex, new: wire.SavedModelIndex) -> Iterator[Change]:
    before, after = tag_sets(old), tag_sets(new)
    for tags in before:
        name = ",".join(tags)
        if tags not in after:
            yield Change("breaking", f"tag set {name}", "is gone")
            continue
        prefix = f"{name}: " if len(before) > 1 else ""
        yield from _graph_changes(find_meta_graph(old, tags), find_meta_graph(new, tags), prefix)
    for tags in after:
        if tags not in before:
            yield Change("compatible", f"tag set {','.join(tags)}", "is new")


def signature_changes(old: Mapping[str, Signature], new: Mapping[str, Signature]) -> Iterator[Change]:
    """What changes for clients from the signatures `old` to `new`, by name."""
    for name in sorted({*old, *new} - {INIT_OP}):
        if name not in new:
            yield Change("breaking", name, "is gone")
        elif name not in old:
            yield Change("compatible", name, "is new")
        else:
            yield from _one_signature(name, old[name], new[name])


def _one_signature(name: str, old: Signature, new: Signature) -> Iterator[Change]:
    if old.method != new.method:
        yield Change("breaking", name, f"method {old.method!r} is now {new.method!r}")
    for key in sorted({*old.inputs, *new.inputs}):
        yield from _input(f"{name} input {key}", key, old, new)
    for key in sorted({*old.outputs, *new.outputs}):
        where = f"{name} output {key}"
        if key not in new.outputs:
            yield Change("breaking", where, "is gone")
        elif key not in old.outputs:
            yield Change("compatible", where, "is new")
        else:
            yield from _tensor(where, old.outputs[key], new.outputs[key], wider_breaks=True)
    for what, before, after in (("input", old.inputs, new.inputs), ("output", old.outputs, new.outputs)):
        if len(before) == 1 and len(after) > 1 and set(before) <= set(after):
            # In row format REST neither asks for the name of an only input nor gives that of an only output.
            yield Change("breaking", name, f"REST clients leave out the name of an only {what}; now there are more")


def _input(where: str, key: str, old: Signature, new: Signature) -> Iterator[Change]:
    if key not in new.inputs:
        yield Change("breaking", where, "is gone")
    elif key not in old.inputs:
        if key in new.defaults:
            yield Change("compatible", where, "is new and optional")
        else:
            yield Change("breaking", where, "is new and required")
    else:
        if key in old.defaults and key not in new.defaults:
            yield Change("breaking", where, "was optional and is required")
        elif key in new.defaults and key not in old.defaults:
            yield Change("compatible", where, "was required and is optional")
        elif key in old.defaults and old.defaults[key] != new.defaults[key]:
            yield Change("breaking", where, "has another default")
        yield from _tensor(where, old.inputs[key], new.inputs[key], wider_breaks=False)


def _tensor(where: str, old: TensorSpec, new: TensorSpec, *, wider_breaks: bool) -> Iterator[Change]:
    if old.dtype != new.dtype:
        yield Change("breaking", where, f"dtype {old.dtype} is now {new.dtype}")
    if old.encoding != new.encoding:
        yield Change("breaking", where, f"a {old.encoding} tensor is now {new.encoding}")
    if old.shape != new.shape:
        # Who sends may send what is taken; who receives must be ready for what is given.
        fits = _covers(old.shape, new.shape) if wider_breaks else _covers(new.shape, old.shape)
        text = f"shape {shape_text(old.shape)} is now {shape_text(new.shape)}"
        yield Change("compatible" if fits else "breaking", where, text)


def _covers(wide: Shape | None, narrow: Shape | None) -> bool:
    """Whether every tensor of shape `narrow` is also one of shape `wide`."""
    if wide is None:
        return True
    if narrow is None or len(wide) != len(narrow):
        return False
    return all(any_size is None or any_size == size for any_size, size in zip(wide, narrow, strict=True))


def _graph_changes(old: wire.MetaGraphIndex, new: wire.MetaGraphIndex, prefix: str = "") -> Iterator[Change]:
    for change in signature_changes(signatures(old), signatures(new)):
        yield Change(change.verdict, prefix + change.where, change.what)
    before, after = set(ops_used(parse_graph(old))), set(ops_used(parse_graph(new)))
    if before - after:
        yield Change("note", f"{prefix}ops", f"no more: {', '.join(sorted(before - after))}")
    if after - before:
        yield Change("note", f"{prefix}ops", f"new: {', '.join(sorted(after - before))}")
    writers = [meta.meta_info_def.tensorflow_version for meta in (old, new)]
    if writers[0] != writers[1]:
        yield Change("note", f"{prefix}TensorFlow", f"{writers[0]} is now {writers[1]}")


def _file_changes(a: Path, b: Path, old: wire.SavedModelIndex, new: wire.SavedModelIndex) -> Iterator[Change]:
    from tfx_export.savedmodel.checkpoint import read_variables

    before, after = ({each.name: each for each in read_variables(folder)} for folder in (a, b))
    common = before.keys() & after.keys()
    reshaped = sum(
        before[name].shape != after[name].shape or before[name].dtype != after[name].dtype for name in common
    )
    changed = sum(before[name].checksum != after[name].checksum for name in common) - reshaped
    counts = {
        "gone": len(before.keys() - after.keys()),
        "new": len(after.keys() - before.keys()),
        "of another shape or dtype": reshaped,
        "with other values": max(changed, 0),
    }
    texts = [f"{count} {what}" for what, count in counts.items() if count]
    if texts:
        yield Change("note", "variables", f"of {len(before)}: {', '.join(texts)}")
    sizes = [summarize(folder, index).total_bytes for folder, index in ((a, old), (b, new))]
    if sizes[0] != sizes[1]:
        yield Change("note", "size", f"{sizes[0]} bytes are now {sizes[1]}")
