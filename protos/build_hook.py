"""Build hook: generates the files of tfx_export/wire that git ignores, and puts them into the wheel."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateMessages(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # As a program, because hatchling does not put this folder on sys.path.
        subprocess.run([sys.executable, str(Path(self.root, "protos", "generate.py"))], check=True)
        build_data["artifacts"] += ["tfx_export/wire/messages.pyi", "tfx_export/wire/protocol.binpb"]
