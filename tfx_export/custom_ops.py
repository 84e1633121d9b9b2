"""Libraries and modules that define operators which TensorFlow does not have.

The choice is kept in an environment variable, so that the processes that verify and convert load the same ones.
"""

import json
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from tfx_export.errors import SpecError

_VARIABLE = "TFX_EXPORT_CUSTOM_OPS"
_loaded: set[str] = set()


def use_custom_ops(libraries: Iterable[str | Path] = (), modules: Iterable[str] = ()) -> None:
    """Chooses shared libraries with operators, and modules to import, for the models that are loaded from now on.

    They are loaded with TensorFlow, in this process and in those that verify an export. Raises SpecError if a library
    does not exist.
    """
    chosen = _chosen()
    for library in map(Path, libraries):
        if not library.is_file():
            raise SpecError(f"--op-library={library}: there is no such file.")
        chosen.append(["library", str(library.absolute())])
    chosen += [["module", module] for module in modules]
    os.environ[_VARIABLE] = json.dumps(chosen)


def load_custom_ops() -> None:
    """Loads what `use_custom_ops` chose and is not loaded yet; TensorFlow is imported. Raises SpecError if it fails."""
    for kind, name in _chosen():
        if name in _loaded:
            continue
        if kind == "library":
            _load_library(name)
        else:
            _import(name)
        _loaded.add(name)


def _chosen() -> list[list[str]]:
    chosen: list[list[str]] = json.loads(os.environ.get(_VARIABLE, "[]"))
    return chosen


def _load_library(path: str) -> None:
    tensorflow = sys.modules["tensorflow"]
    try:
        tensorflow.load_op_library(path)
    except tensorflow.errors.OpError as error:
        raise SpecError(f"--op-library={path}: {error.message}") from None


def _import(module: str) -> None:
    sys.path.insert(0, str(Path.cwd()))
    try:
        import_module(module)
    except (Exception, SystemExit) as error:  # the user's own code may raise anything
        raise SpecError(f"--import={module}: {type(error).__name__}: {error}") from None
    finally:
        sys.path.pop(0)
