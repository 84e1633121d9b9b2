"""The Python inside Envoy: whether Envoy can load it, and the environment that makes it the same as this Python."""

import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from functools import cache
from pathlib import Path

EXTRA = "pip install 'tfx-export[native]'"
# Set for Envoy's own process; the programs that the worker starts must not inherit them.
VARIABLES = ("PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES")


def why_unavailable() -> str | None:
    """Returns the reason why the native front cannot run here; None if it can."""
    if sys.platform not in ("linux", "darwin"):
        return f"Envoy runs on Linux and macOS, and this is {sys.platform}"
    if sys.version_info < (3, 11):
        return "it needs Python 3.11 or later, and this is {}.{}".format(*sys.version_info)
    if importlib.util.find_spec("pyvoy") is None or importlib.util.find_spec("envoy") is None:
        return f"pyvoy is not installed ({EXTRA})"
    if _library() is None:
        return f"{sys.executable} has no shared libpython (build Python with --enable-shared)"
    return None


def envoy_module() -> str:
    """Returns the path of the dynamic module that Envoy loads."""
    package = importlib.util.find_spec("pyvoy")
    assert package is not None
    assert package.submodule_search_locations is not None
    # Finds the file without importing the pyvoy package.
    spec = importlib.machinery.PathFinder.find_spec("pyvoy._pyvoy", package.submodule_search_locations)
    assert spec is not None
    assert spec.origin is not None
    return spec.origin


def environment() -> dict[str, str]:
    """Returns the environment in which the embedded interpreter uses the module path and libpython of this process."""
    preload = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"
    return {
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
        "PYTHONHOME": f"{sys.prefix}{os.pathsep}{sys.exec_prefix}",
        preload: str(_library()),
    }


@cache
def _library() -> Path | None:
    # Checked first because it is nearly always there, and find_libpython starts programs.
    usual = Path(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")
    if usual.is_file() and usual.name.startswith("libpython") and sys.platform != "darwin":
        return usual
    import find_libpython

    # find_libpython() itself returns a framework's real file on macOS, and the loader does not look for that name.
    candidates = map(Path, find_libpython.candidate_paths())
    return next((path for path in candidates if path.exists() and path.name.startswith("libpython")), None)
