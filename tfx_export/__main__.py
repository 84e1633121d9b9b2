"""`python -m tfx_export`: the same program as the `tfx-export` script."""

from tfx_export.cli import main

if __name__ == "__main__":
    main()
