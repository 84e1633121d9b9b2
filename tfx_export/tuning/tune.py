"""Tunes a model: starts the server with one setting after another, puts load on it, and picks the best setting."""

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfx_export.client import Client
from tfx_export.errors import PublishError, SavedModelError
from tfx_export.load.generator import PREDICT, WARMUP, Load, LoadError, Measurement, measure
from tfx_export.recognise import describe
from tfx_export.savedmodel.reader import is_saved_model
from tfx_export.savedmodel.version_folders import list_versions
from tfx_export.tuning.requests import acceptable_requests
from tfx_export.tuning.search import best, search
from tfx_export.tuning.server import MODEL, serving
from tfx_export.tuning.setting import Setting, Trial

PARAMETERS_FILE = "batching_params.pbtxt"
TFLITE_FILE = "model.tflite"
# A search usually tries this number of settings; the time is divided among them.
EXPECTED_TRIALS = 12
MIN_WINDOW_SECONDS = 0.5


@dataclass(frozen=True)
class Tuning:
    """The trials in order, and the best one. `complete` is False if the time ran out before all settings were tried."""

    version: Path
    clients: int
    trials: tuple[Trial, ...]
    best: Trial
    complete: bool


def tune(
    version: Path,
    engines: Sequence[str],
    *,
    seconds: float,
    clients: int,
    signature: str = "",
    probe: Path | None = None,
    max_p99: float | None = None,
    step: Callable[[str], None],
) -> Tuning:
    """Measures the server on the version folder `version` for about `seconds` seconds.

    `clients`: the number of requests in flight. `signature` and `probe`: as in `acceptable_requests`. `max_p99`: as in
    `best`. `step`: called with each setting. Raises SavedModelError if no engine serves the model, SpecError if the
    inputs do not fit it, LoadError if requests fail.
    """
    started = time.monotonic()
    trials: list[Trial] = []
    refusals: list[str] = []
    requests: list[bytes] = []
    settings = search(engines, os.cpu_count() or 1, clients, max_p99)
    complete = False
    with tempfile.TemporaryDirectory(prefix="tfx-export-tune-") as folder:

        def attempt(setting: Setting) -> Measurement | None:
            step(str(setting))
            began = time.monotonic()
            try:
                with serving(version.absolute(), setting, clients, Path(folder)) as target:
                    left = seconds / EXPECTED_TRIALS - (time.monotonic() - began)
                    window = max(MIN_WINDOW_SECONDS, left / (1 + WARMUP))
                    if not requests:
                        with Client(target) as client:
                            requests.extend(acceptable_requests(client, MODEL, version, signature, probe))
                    measured = measure(Load("grpc", target, PREDICT, tuple(requests), clients, seconds=window))
                    if measured.failures:
                        raise LoadError(f"{measured.failures} requests failed ({setting}).")
                    return measured
            except SavedModelError as error:
                refusals.append(error.message)
                return None

        setting = next(settings, None)
        while setting is not None:
            began = time.monotonic()
            measured = attempt(setting)
            if measured:
                trials.append(Trial(setting, measured))
            try:
                setting = settings.send(measured)
            except StopIteration:
                complete = True
                break
            # The next trial will take about as long as this one.
            now = time.monotonic()
            if trials and now - started + (now - began) > seconds:
                break
    if not trials:
        raise SavedModelError("\n".join(refusals))
    return Tuning(version, clients, tuple(trials), best(trials, max_p99), complete)


def find_version(model: Path, number: int | None) -> Path:
    """Returns `model` itself if it is a version folder, else its newest version or version `number`.

    Raises SavedModelError if there is no such version.
    """
    if number is None and _is_version(model):
        return model
    versions = list_versions(model)
    if number is None and versions:
        return next(iter(versions.values()))
    if number in versions:
        return versions[number]
    if not versions:
        message, hint = describe(model, "a model folder or a version")
        raise SavedModelError(message, hint=hint)
    raise SavedModelError(
        f"{model} has no version {number}.", hint=f"Existing versions: {', '.join(map(str, versions))}"
    )


def engines_for(version: Path) -> list[str]:
    """Returns the engines that can run `version` on this machine."""
    engines = ["tensorflow"] if is_saved_model(version) else []
    if (version / TFLITE_FILE).is_file() and importlib.util.find_spec("ai_edge_litert"):
        engines.append("litert")
    return engines


def _is_version(folder: Path) -> bool:
    return is_saved_model(folder) or (folder / TFLITE_FILE).is_file()


def publish(file: Path, text: str) -> None:
    """Replaces `file` atomically: a server that reads it sees the old or the new content. Raises PublishError."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise PublishError(f"Cannot write {file}: {error.strerror}") from None
