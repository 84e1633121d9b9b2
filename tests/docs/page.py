"""A Markdown page as a program: its `sh` and `python` blocks in order, and the output that they must have."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# A `text` fence right after a block shows the output of the block. `bash` is shown but not run.
RUN = {"sh", "python"}
SHOWN = {"bash", "text", "yaml", "json", "zsh", "fish", "mermaid"}
# Lines in `bash` blocks may begin with these: they need the network or take minutes. Other tests run bench, tune, Ray.
NOT_RUN = (
    *("#", "make ", "pip install ", "python3 -m venv ", ".venv/bin/", "TFX_EXPORT_OPENAPI_EXAMPLES="),
    *("tfx-export bench ", "tfx-export tune ", "tfx-export serve models/digits --on ray", "serve run "),
)

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVER = re.compile(r"^tfx-export serve .*&$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the output shown after it."""

    language: str
    text: str
    output: tuple[str, ...] = ()

    @property
    def starts_server(self) -> bool:
        return bool(_SERVER.search(self.text)) and self.language == "sh"


def blocks(page: Path) -> list[Block]:
    """Returns all blocks of a page."""
    found: list[Block] = []
    text = page.read_text(encoding="utf-8")
    end = 0
    for fence in _FENCE.finditer(text):
        language, body = fence.groups()
        follows = found and found[-1].language in RUN and not text[end : fence.start()].strip()
        if language == "text" and follows:
            found[-1] = Block(found[-1].language, found[-1].text, tuple(body.splitlines()))
        else:
            found.append(Block(language, body))
        end = fence.end()
    return found


def script(block: Block) -> str:
    """Returns the block for bash: it waits for servers, and feeds Python to an interpreter."""
    if block.language == "python":
        return f"python - <<'END_OF_PYTHON'\n{block.text}END_OF_PYTHON\n"
    return _SERVER.sub(lambda command: f"{command[0]}\nwait_for_server", block.text)


def shape(line: str) -> str:
    """Returns a line without numbers and spaces, which may differ from run to run."""
    return re.sub(r"\d[\d.,:e-]*", "0", "".join(line.split()))
