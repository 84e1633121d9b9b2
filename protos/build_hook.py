"""Build hook: compile protos/ into one descriptor set, shipped as tfx_export/wire/protocol.binpb.

A descriptor set instead of generated modules: it needs no gencode that ties us to a protobuf version,
and it can be loaded into a pool of its own (see tfx_export/wire).
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileProtos(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        protos = Path(self.root, "protos")
        target = Path(self.root, "tfx_export", "wire", "protocol.binpb")
        sources = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--include_imports"]
        subprocess.run([*command, f"--descriptor_set_out={target}", *sources], cwd=protos, check=True)
        build_data["artifacts"].append("tfx_export/wire/protocol.binpb")
