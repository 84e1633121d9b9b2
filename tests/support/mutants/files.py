"""Changes of the files of a SavedModel."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random


def replace(file: Path, content: bytes) -> None:
    """Writes a new file, because the old one may be a link to the original."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def _any_file(folder: Path, chance: Random) -> Path:
    return chance.choice(sorted(file for file in folder.rglob("*") if file.is_file()))


def cut_file(folder: Path, chance: Random) -> None:
    file = _any_file(folder, chance)
    content = file.read_bytes()
    replace(file, content[: chance.randrange(len(content) + 1)])


def flip_bits(folder: Path, chance: Random) -> None:
    file = _any_file(folder, chance)
    content = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 1, 5, 50))):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    replace(file, bytes(content))


def remove_file(folder: Path, chance: Random) -> None:
    _any_file(folder, chance).unlink()


def remove_folder(folder: Path, chance: Random) -> None:
    shutil.rmtree(folder / chance.choice(("variables", "assets")), ignore_errors=True)


def exchange_files(folder: Path, chance: Random) -> None:
    first, second = _any_file(folder, chance), _any_file(folder, chance)
    content = first.read_bytes()
    replace(first, second.read_bytes())
    replace(second, content)


def add_file(folder: Path, chance: Random) -> None:
    name = chance.choice(("fingerprint.pb", "saved_model.pbtxt", "assets.extra/odd", "model.tflite", "variables/odd"))
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    replace(file, chance.choice((b"", b"odd", bytes(range(256)))))


FILE_CHANGES: tuple[Callable[[Path, Random], None], ...] = (
    *(cut_file, flip_bits, flip_bits, remove_file, remove_folder, exchange_files, add_file),
)
