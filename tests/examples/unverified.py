"""The `tfx-export` command with --no-verify for the exports. A separate program, because it replaces a command."""

import sys

from tfx_export.cli import main

EXPORTS = {"keras", "session"}

if __name__ == "__main__":
    main([*sys.argv[1:], *(["--no-verify"] if sys.argv[1] in EXPORTS else [])])
