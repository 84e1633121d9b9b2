"""Replaces each `<!-- generated: NAME -->` mark in a page with a table or list made from the code.

A hook of mkdocs. It imports the command line and the server's flags, and does not import TensorFlow.
"""

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import click

from serve import flags, metrics
from serve.config import Config
from serve.errors import Code
from serve.transport.rest.status import HTTP_STATUS
from tfx_export import errors
from tfx_export.cli import COMMANDS, cli

MARK = re.compile(r"<!-- generated: ([a-z-]+) -->")
# The options of these commands are the server's flags, which have their own page.
PASSED_THROUGH = {"serve"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page. Raises KeyError, which ends the build, if a mark has an unknown name."""
    return MARK.sub(lambda mark: PARTS[mark[1]](), markdown)


def commands() -> str:
    """Returns the usage, help text and options of every command and subcommand."""
    context = click.Context(cli, info_name="tfx-export")
    return "\n\n".join(
        section for name in sorted(COMMANDS) for section in _sections(name, cli.get_command(context, name), context)
    )


def server_flags() -> str:
    """Returns the server's flags, one table per group."""
    return "\n\n".join(_flag_table(title, group) for title, group in flags.GROUPS.items())


def exit_codes() -> str:
    """Returns the meaning of each exit code, from the tree of errors drawn in `tfx_export.errors`."""
    rows = {0: ["success"], 1: ["a check failed: a finding, a difference"], 2: ["bad usage"]}
    for code, meaning in re.findall(r"[├└]── [\w.]+ +(\d+)  (.+)", errors.__doc__ or ""):
        rows.setdefault(int(code), []).append(meaning[:1].lower() + meaning[1:])
    return _table(["Code", "Meaning"], [[str(code), "; ".join(rows[code])] for code in sorted(rows)])


def status_codes() -> str:
    """Returns the server's status codes in both protocols."""
    return _table(
        ["gRPC code", "Number", "HTTP status"],
        [[code.name, str(code.value), str(HTTP_STATUS[code])] for code in Code],
    )


def metric_rows() -> str:
    """Returns the metrics as rows of a table whose header is in the page."""
    return "\n".join(
        f"| {_code(each.name)}<br>{_escaped(each.description)} | {', '.join(each.labels)} |" for each in metrics.ALL
    )


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "server-flags": server_flags,
    "exit-codes": exit_codes,
    "status-codes": status_codes,
    "metrics": metric_rows,
}


def _sections(name: str, command: click.Command | None, parent: click.Context) -> Iterator[str]:
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    options = [row for parameter in command.params if (row := _option(parameter, context))]
    usage = command.get_usage(context).removeprefix("Usage: ")
    yield "\n\n".join(
        [
            f"{'#' * (context.command_path.count(' ') + 1)} {context.command_path}",
            f"```text\n{' '.join(usage.split())}\n```",
            _help(command.help or ""),
            "The options are the [flags of the server](flags.md)." if name in PASSED_THROUGH else "",
            _table(["Option", "Meaning"], options) if options else "",
        ]
    )
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            yield from _sections(child, command.get_command(context, child), context)


def _help(text: str) -> str:
    """Returns a help text as Markdown. Paragraphs that click does not wrap are examples to copy."""
    paragraphs = []
    for paragraph in re.sub(r"\n[ \t]+", "\n", text).split("\n\n"):
        verbatim = paragraph.startswith("\b\n")
        paragraphs.append(f"```text\n{paragraph[2:]}\n```" if verbatim else _escaped(paragraph))
    return "\n\n".join(paragraphs)


def _option(parameter: click.Parameter, context: click.Context) -> list[str] | None:
    record = parameter.get_help_record(context)
    # Arguments without a help text are explained in the text of the command.
    if record is None or not record[1]:
        return None
    names, meaning = record
    return [_code(names), _escaped(meaning)]


def _flag_table(title: str, group: tuple[flags.Flag, ...]) -> str:
    defaults = Config()
    rows = []
    for flag in group:
        value = "" if flag.inert else getattr(defaults, flags._FIELD.get(flag.name, flag.name))
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        rows.append([_code(f"--{flag.name}"), _code(shown) if value not in ("", ()) else "", flag.inert or flag.help])
    return f"## {title}\n\n" + _table(["Flag", "Default", "Meaning"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "&#124;") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Marks text as code. Uses HTML because a table's `|` cannot be escaped inside backticks."""
    return f"<code>{html.escape(text)}</code>"


def _escaped(text: str) -> str:
    """Escapes Markdown except for what is in backticks."""
    return re.sub(r"`[^`]*`|[<>*_\[\]]", lambda found: found[0] if found[0][0] == "`" else f"\\{found[0]}", text)
