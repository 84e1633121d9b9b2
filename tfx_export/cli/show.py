"""`tfx-export show`: shows the content of a SavedModel or the versions of a model."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from tfx_export import wire
from tfx_export.cli.custom_op_options import custom_op_options
from tfx_export.cli.folder_option import folder_option
from tfx_export.savedmodel import saved_model_cli_text
from tfx_export.savedmodel.functions import root_functions
from tfx_export.savedmodel.graph import ops_used, parse_graph
from tfx_export.savedmodel.reader import is_saved_model, narrow, read_index
from tfx_export.savedmodel.summary import summarize
from tfx_export.savedmodel.version_folders import list_versions


@click.command("show")
@folder_option
@click.option("--all", "everything", is_flag=True, help="Show all tag sets, signatures, ops and TF2 functions.")
@click.option("--tag-set", metavar="TAGS", help="Show only the graph with these tags, separated by commas.")
@click.option("--signature-def", metavar="NAME", help="Show the inputs, outputs and method of this signature.")
@click.option("--list-ops", is_flag=True, help="List the ops that the graph uses.")
@custom_op_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    folder: Path,
    everything: bool,
    tag_set: str | None,
    signature_def: str | None,
    list_ops: bool,
    as_json: bool,
) -> None:
    """Show the signatures of a SavedModel or the versions of a model.

    \b
    tfx-export show models/mnist             the versions, newest first
    tfx-export show models/mnist/3           tag sets and signatures
    tfx-export show --dir models/mnist/3 --all
    tfx-export show --dir models/mnist/3 --tag_set serve --signature_def serving_default

    Prints a tree on a terminal, and the text of `saved_model_cli show`, line for line, into a pipe or file. --tag_set
    is optional if there is only one. No operator is loaded or run, so --op-library and --import change nothing here;
    they are accepted so that the same options fit all commands.
    """
    one_graph = not everything and (tag_set is not None or signature_def is not None or list_ops)
    versions = {} if is_saved_model(folder) else list_versions(folder)
    if versions and not everything and not one_graph:
        _show_versions(folder, as_json)
        return
    if versions:
        newest, folder = next(iter(versions.items()))
        click.echo(f"The newest version is {newest}: {folder}", err=True)
    index = read_index(folder)
    if one_graph:
        index = narrow(index, tag_set, signature_def)
    if as_json:
        _print_json(folder, index, details=everything or list_ops)
    elif sys.stdout.isatty():
        from tfx_export.cli.savedmodel_tree import print_tree

        print_tree(summarize(folder, index), dict(_details(index)) if everything or list_ops else {})
    elif everything:
        _print(saved_model_cli_text.list_all(index))
    elif one_graph:
        _print(_list_graph(index.meta_graphs[0], list_ops, signature_def))
    else:
        _print(saved_model_cli_text.list_tag_sets(index))


def _list_graph(meta_graph: wire.MetaGraphIndex, list_ops: bool, signature_def: str | None) -> Iterator[str]:
    if list_ops:
        yield from saved_model_cli_text.list_ops(meta_graph, parse_graph(meta_graph))
    if signature_def is None:
        yield from saved_model_cli_text.list_signature_keys(meta_graph)
    else:
        yield from saved_model_cli_text.list_signature(meta_graph.signature_def[signature_def])


def _details(index: wire.SavedModelIndex) -> Iterator[tuple[tuple[str, ...], dict[str, list[str]]]]:
    """Yields ops and functions by tag set, which need the graph to be parsed."""
    for meta_graph in index.meta_graphs:
        graph = parse_graph(meta_graph)
        functions = root_functions(meta_graph, graph)
        calls = [
            f"{name}({', '.join([*map(repr, option.args), *option.kwargs])})"
            for name, options in functions.items()
            for option in options
        ]
        yield tuple(sorted(meta_graph.meta_info_def.tags)), {"ops": ops_used(graph), "functions": calls}


def _print_json(folder: Path, index: wire.SavedModelIndex, details: bool) -> None:
    import json

    document = summarize(folder, index).to_json()
    if details:
        for entry, (_, detail) in zip(document["meta_graphs"], _details(index), strict=True):
            entry.update(detail)
    click.echo(json.dumps(document, indent=2))


def _show_versions(model: Path, as_json: bool) -> None:
    from tfx_export.cli.versions import print_versions
    from tfx_export.savedmodel.version_history import versions

    print_versions(versions(model), as_json)


def _print(lines: Iterable[str]) -> None:
    click.echo("\n".join(lines))
