"""Draws a SavedModel as a tree on a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text
from rich.tree import Tree

from tfx_export.savedmodel.dtypes import type_string
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature, TensorSpec, shape_text
from tfx_export.savedmodel.summary import SavedModelSummary


def print_tree(
    summary: SavedModelSummary, details: Mapping[tuple[str, ...], Mapping[str, Sequence[str]]] | None = None
) -> None:
    """Draws `summary` on stdout. `details`: lists of ops and functions by tag set."""
    root = Tree(
        Text.assemble(
            (str(summary.folder), "bold"),
            f"  {summary.file}, {decimal(summary.total_bytes)} ({decimal(summary.variable_bytes)} of variables)",
        ),
        guide_style="dim",
    )
    for meta in summary.meta_graphs:
        tags = ",".join(meta.tags) or "(none)"
        graph = root.add(Text.assemble("tag set ", (tags, "bold cyan"), (_origin(meta.tensorflow_version), "dim")))
        for signature in meta.signatures.values():
            _add_signature(graph, signature)
        if not meta.signatures:
            graph.add(Text("no signatures", "yellow"))
        if meta.assets:
            graph.add(Text.assemble("assets  ", ", ".join(meta.assets)))
        for title, items in (details or {}).get(meta.tags, {}).items():
            if title == "functions" and items:
                functions = graph.add(Text("functions"))
                for item in items:
                    functions.add(Text(item))
            elif items:
                graph.add(Text.assemble(f"{title}  ", ", ".join(items)))
    Console().print(root)


def _origin(version: str) -> str:
    return f"  written by TensorFlow {version}" if version else ""


def _add_signature(graph: Tree, signature: Signature) -> None:
    mark = "  (default)" if signature.name == DEFAULT_SIGNATURE else ""
    node = graph.add(Text.assemble((signature.name, "bold green"), mark, (f"  {signature.method}", "dim")))
    width = max((len(key) for key in (*signature.inputs, *signature.outputs)), default=0)
    for arrow, tensors in (("→", signature.inputs), ("←", signature.outputs)):
        for key, spec in tensors.items():
            optional = "  optional" if key in signature.defaults else ""
            node.add(Text.assemble(f"{arrow} ", (key.ljust(width), "yellow"), "  ", _type(spec), (optional, "dim")))


def _type(spec: TensorSpec) -> Text:
    kind = "" if spec.encoding == "dense" else f" {spec.encoding}"
    return Text.assemble(f"{type_string(spec.dtype)} {shape_text(spec.shape)}{kind}", (f"  {spec.tensor}", "dim"))
