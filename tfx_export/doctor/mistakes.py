"""Finds known problems: environment variables, files and ports that get in the way."""

import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfx_export.doctor.finding import Finding

AREA = "Environment"
GRPC_PORT, REST_PORT = 8500, 8501
FREE_BYTES = 1 << 30
OPEN_FILES = 1024
# A file with one of these names hides the module from scripts that are started in its folder.
SHADOWABLE = ("tensorflow", "keras", "numpy", "grpc", "google", "serve", "tfx_export")


def findings(folder: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Yields everything that may hinder exports into `folder` and servers of its models."""
    yield _writable(folder)
    yield from _shadowing(folder)
    yield from _settings(environment)
    yield from _keras_backend(environment)
    for number, flag in ((GRPC_PORT, "--port"), (REST_PORT, "--rest_api_port")):
        yield port(number, flag)
    yield from _open_files()


def _writable(folder: Path) -> Finding:
    name = "folder"
    try:
        with tempfile.TemporaryDirectory(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        words = f"{folder} is not writable: {error.strerror}"
        return Finding(AREA, name, "problem", words, "Export into another folder, or change its permissions.")
    if free < FREE_BYTES:
        return Finding(
            AREA, name, "note", f"{folder}: {free >> 20} MiB free", "An export needs space for two versions."
        )
    return Finding(AREA, name, "ok", f"{folder} is writable, {free / 2**30:.0f} GiB free")


def _shadowing(folder: Path) -> Iterator[Finding]:
    for module in SHADOWABLE:
        for path in (folder / f"{module}.py", folder / module / "__init__.py"):
            if path.exists() and not _is_ours(path):
                advice = (
                    f"Rename it: scripts started here import it instead of {module}. The tfx-export commands do not."
                )
                yield Finding(AREA, path.relative_to(folder).as_posix(), "note", f"hides the module {module}", advice)


def _is_ours(path: Path) -> bool:
    """Whether `path` is the `__init__.py` of a package of this project, in any checkout of it."""
    project = path.parents[1] / "pyproject.toml"
    return (
        path.parent.name in ("serve", "tfx_export")
        and project.is_file()
        and 'name = "tfx-export"' in project.read_text(encoding="utf-8").splitlines()
    )


def _settings(environment: Mapping[str, str]) -> Iterator[Finding]:
    notes = {
        "TF_ENABLE_ONEDNN_OPTS": (
            "0",
            "TensorFlow runs without oneDNN, which is slower on most processors",
            "Unset it.",
        ),
        "TF_USE_LEGACY_KERAS": (
            "1",
            "tf.keras is Keras 2 in your scripts",
            "The exporter chooses the version by file. Unset it.",
        ),
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": (
            "python",
            "protobuf messages are parsed in Python, which is slow",
            "Unset it.",
        ),
    }
    for name, (value, meaning, advice) in notes.items():
        if environment.get(name, "").lower() == value:
            yield Finding(AREA, name, "note", f"{value}: {meaning}", advice)
    proxy = next((name for name in ("grpc_proxy", "https_proxy", "http_proxy") if environment.get(name)), None)
    exempt = environment.get("no_grpc_proxy", environment.get("no_proxy", environment.get("NO_PROXY", "")))
    if proxy and not {"localhost", "127.0.0.1", "*"} & {each.strip() for each in exempt.split(",")}:
        advice = "export no_proxy=localhost,127.0.0.1"
        yield Finding(AREA, proxy, "note", "gRPC clients connect to localhost through this proxy, which fails", advice)


def _keras_backend(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Checks the backend of Keras, which reads the variable first, then its file. Exports need TensorFlow."""
    backend = environment.get("KERAS_BACKEND")
    if backend not in (None, "", "tensorflow"):
        words = f"{backend}: only Keras models with the TensorFlow backend can be exported"
        yield Finding(AREA, "KERAS_BACKEND", "problem", words, "export KERAS_BACKEND=tensorflow")
    home = Path(environment["KERAS_HOME"]) if environment.get("KERAS_HOME") else Path.home() / ".keras"
    try:
        written = json.loads((home / "keras.json").read_text()).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        return
    if not backend and written != "tensorflow":
        words = f"backend {written}: your scripts use it; the exporter uses TensorFlow anyway"
        yield Finding(AREA, "keras.json", "note", words, f"See {home / 'keras.json'}")


def port(number: int, flag: str) -> Finding:
    """Checks whether a server can listen on port `number`."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would allow two listeners
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            advice = f"Stop the process that uses it, or serve with {flag}=auto"
            return Finding(AREA, f"port {number}", "note", f"not available: {error.strerror}", advice)
    return Finding(AREA, f"port {number}", "ok", "free")


def _open_files() -> Iterator[Finding]:
    if sys.platform == "win32":
        return
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        yield Finding(AREA, "open files", "note", f"at most {soft}; each client needs one", "ulimit -n 65536")
