"""Compares two SavedModels from the view of a client: can a client of A use B without a change?

A change is breaking if a request that A answers can fail with B, or if the response has a form that clients of A do not
expect. Ops, sizes and weights do not concern clients, so these changes are notes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tfx_export import wire
from tfx_export.savedmodel.graph import ops_used, parse_graph
from tfx_export.savedmodel.reader import choose_meta_graph, find_meta_graph, read_index, signatures, tag_sets
from tfx_export.savedmodel.signature import Shape, Signature, TensorSpec, shape_text
from tfx_export.savedmodel.summary import INIT_OP, summarize

Verdict = Literal["breaking", "compatible", "note"]


@dataclass(frozen=True)
class Change:
    """One difference: its effect on clients, where it is (signature, input, ...), and what changed."""

    verdict: Verdict
    where: str
    what: str


@dataclass(frozen=True)
class Difference:
    """All changes from `a` to `b`, breaking changes first."""

    a: Path
    b: Path
    changes: tuple[Change, ...]

    @property
    def breaking(self) -> bool:
        """Whether a client of `a` may fail with `b`."""
        return any(change.verdict == "breaking" for change in self.changes)

    def to_json(self) -> dict[str, object]:
        """Returns plain values for `json.dumps`."""
        return {
            "a": str(self.a),
            "b": str(self.b),
            "verdict": "breaking" if self.breaking else "compatible",
            "changes": [asdict(change) for change in self.changes],
        }


def diff(a: Path | str, b: Path | str, *, tag_set: str | None = None) -> Difference:
    """Returns the changes for clients from the SavedModel in folder `a` to that in `b`. Does not need TensorFlow.

    `tag_set` ("serve,gpu") limits the comparison to one graph.
    Raises SavedModelError if a folder is not a valid SavedModel or has no such tag set.
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
    """Yields the changes for clients from the signatures `old` to `new`, both by name."""
    for name in sorted({*old, *new} - {INIT_OP}):
        if name not in new:
            yield Change("breaking", name, "is gone")
        elif name not in old:
            yield Change("compatible", name, "is new")
        else:
            yield from _one_signature(name, old[name], new[name])


def _one_signature(name: str, old: Signature, new: Signature) -> Iterator[Change]:
    if old.method != new.method:
        yield Change("breaking", name, f"method changed from {old.method!r} to {new.method!r}")
    for key in sorted({*old.inputs, *new.inputs}):
        yield from _input(f"{name} input {key}", key, old, new)
    for key in sorted({*old.outputs, *new.outputs}):
        where = f"{name} output {key}"
        if key not in new.outputs:
            yield Change("breaking", where, "is gone")
        elif key not in old.outputs:
            yield Change("compatible", where, "is new")
        else:
            yield from _tensor(where, old.outputs[key], new.outputs[key], wider_is_breaking=True)
    for what, before, after in (("input", old.inputs, new.inputs), ("output", old.outputs, new.outputs)):
        if len(before) == 1 and len(after) > 1 and set(before) <= set(after):
            # In row format, REST omits the name of an input or output if there is only one.
            yield Change("breaking", name, f"REST clients omit the name of a single {what}; now there are several")


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
            yield Change("breaking", where, "was optional and is now required")
        elif key in new.defaults and key not in old.defaults:
            yield Change("compatible", where, "was required and is now optional")
        elif key in old.defaults and old.defaults[key] != new.defaults[key]:
            yield Change("breaking", where, "has a different default")
        yield from _tensor(where, old.inputs[key], new.inputs[key], wider_is_breaking=False)


def _tensor(where: str, old: TensorSpec, new: TensorSpec, *, wider_is_breaking: bool) -> Iterator[Change]:
    if old.dtype != new.dtype:
        yield Change("breaking", where, f"dtype changed from {old.dtype} to {new.dtype}")
    if old.encoding != new.encoding:
        yield Change("breaking", where, f"encoding changed from {old.encoding} to {new.encoding}")
    if old.shape != new.shape:
        # B must accept every input that a client of A sends, and may return only outputs that this client expects.
        fits = _covers(old.shape, new.shape) if wider_is_breaking else _covers(new.shape, old.shape)
        text = f"shape changed from {shape_text(old.shape)} to {shape_text(new.shape)}"
        yield Change("compatible" if fits else "breaking", where, text)


def _covers(wide: Shape | None, narrow: Shape | None) -> bool:
    """Whether every tensor with shape `narrow` also has shape `wide`."""
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
        yield Change("note", f"{prefix}ops", f"gone: {', '.join(sorted(before - after))}")
    if after - before:
        yield Change("note", f"{prefix}ops", f"new: {', '.join(sorted(after - before))}")
    writers = [meta.meta_info_def.tensorflow_version for meta in (old, new)]
    if writers[0] != writers[1]:
        yield Change("note", f"{prefix}TensorFlow", f"version changed from {writers[0]} to {writers[1]}")


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
        "with a different shape or dtype": reshaped,
        "with different values": max(changed, 0),
    }
    texts = [f"{count} {what}" for what, count in counts.items() if count]
    if texts:
        yield Change("note", "variables", f"of {len(before)}: {', '.join(texts)}")
    sizes = [summarize(folder, index).total_bytes for folder, index in ((a, old), (b, new))]
    if sizes[0] != sizes[1]:
        yield Change("note", "size", f"changed from {sizes[0]} to {sizes[1]} bytes")
