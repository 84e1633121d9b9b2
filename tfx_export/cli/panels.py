"""What a person sees: errors and summaries, drawn with rich."""

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from tfx_export.errors import TfxExportError


def error_panel(error: TfxExportError) -> None:
    """Draw `error` on stderr: a panel on a terminal, plain lines where something else reads them."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"Error: {error}", markup=False, highlight=False, soft_wrap=True)
        return
    body = Text(error.message)
    if error.hint:
        body.append(f"\n\n{error.hint}", style="dim")
    console.print(Panel(body, title="Error", title_align="left", border_style="red"))
