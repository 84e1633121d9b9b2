"""Runs the `tfx-export` command as `python -m tfx_export`."""

from tfx_export.cli import main

if __name__ == "__main__":
    main()
