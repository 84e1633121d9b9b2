"""The program that writes one mutant: `python -m tests.support.mutants SEED NUMBER FOLDER`."""

import sys
from pathlib import Path

from tests.support.mutants.mutant import write


def main(seed: str, number: str, folder: str) -> None:
    mutant = write(int(seed), int(number), Path(folder))
    sys.stdout.write(f"{mutant.source}: {', '.join(mutant.changes)}\n")


main(*sys.argv[1:])
