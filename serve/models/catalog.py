"""Catalog: which models the operator wants served, and how that changes while the server runs.

By flags, by a config file that is looked at again, by an RPC, or by the subfolders of a folder that is watched.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from serve.config import Config
from serve.errors import Code, ServeError
from serve.lifecycle.manager import Manager
from serve.lifecycle.source import ServedModel
from serve.lifecycle.state import ModelRef, State
from serve.models.model_config import listed_models, read_config
from serve.request_log.log import RequestLog, Rule, logging_rules
from tfx_export import wire
from tfx_export.savedmodel.version_folders import list_versions

logger = logging.getLogger("serve")


class Catalog:
    """Tells the manager what to serve. A list that is refused leaves the one in force as it is."""

    def __init__(self, manager: Manager, config: Config, request_log: RequestLog) -> None:
        self._manager = manager
        self._request_log = request_log
        self._config = config
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._complaint = ""

    def start(self, reloaded_config: bytes | None = None) -> None:
        """Serve what the flags name, or the ModelServerConfig `reloaded_config`; keep looking where the flags say so.

        Raises ServeError: INVALID_ARGUMENT for a bad config file, FAILED_PRECONDITION for labels of versions that are
        not available (at the start none is).
        """
        config = self._config
        if reloaded_config is not None:
            self.reload(wire.ModelServerConfig.FromString(reloaded_config), trusted=True)
        elif config.model_config_file:
            self.reload(read_config(Path(config.model_config_file)))
        elif not config.watch:
            self._manager.serve(_models_at(Path(config.model_base_path).absolute(), config.model_name))
        if config.model_config_file:
            self._every(config.model_config_file_poll_wait_seconds, self._look_at_file)
        elif config.watch:
            self._look_at_folder()
            self._every(config.file_system_poll_wait_seconds, self._look_at_folder)

    def stop(self) -> None:
        self._stopping.set()

    def reload(self, config: wire.ModelServerConfig, *, trusted: bool = False) -> list[str]:
        """Serve what a ModelServerConfig lists and nothing else; returns the names that are new.

        Returns before they are loaded. Raises as `check`; `trusted` is a config that has been checked already, when
        what its labels name was available.
        """
        with self._lock:
            models, log_rules = self._read(config) if trusted else self.check(config)
            known = {model.name for model in self._manager.models()}
            self._manager.serve(models)
            self._request_log.update(log_rules)
        return [model.name for model in models if model.name not in known]

    def check(self, config: wire.ModelServerConfig) -> tuple[list[ServedModel], dict[str, Rule]]:
        """The models a ModelServerConfig lists and how to log them.

        INVALID_ARGUMENT or FAILED_PRECONDITION, with upstream's text, if they cannot be served.
        """
        models, log_rules = self._read(config)
        for model in models:
            self._check_labels(model)
        return models, log_rules

    def _read(self, config: wire.ModelServerConfig) -> tuple[list[ServedModel], dict[str, Rule]]:
        if config.WhichOneof("config") == "custom_model_config":
            raise ServeError(
                Code.INVALID_ARGUMENT,
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported",
            )
        return listed_models(config), logging_rules(config)

    def _check_labels(self, model: ServedModel) -> None:
        """A label names a version that is available, or (if allowed) is new or unchanged."""
        old = next((each.labels for each in self._manager.models() if each.name == model.name), {})
        for label, version in sorted(model.labels.items()):
            free = self._config.allow_version_labels_for_unavailable_models and old.get(label, version) == version
            if not free and not self._available(model.name, version):
                raise ServeError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {model.name}, "
                    "which is not currently available for inference",
                )

    def _available(self, name: str, version: int) -> bool:
        try:
            (status,) = self._manager.status(ModelRef(name, version))
        except ServeError:
            return False
        return status.state is State.AVAILABLE

    def _every(self, seconds: float, look: Callable[[], None]) -> None:
        if seconds <= 0:
            return

        def run() -> None:
            while not self._stopping.wait(seconds):
                look()

        threading.Thread(target=run, name="catalog", daemon=True).start()

    def _look_at_file(self) -> None:
        try:
            self.reload(read_config(Path(self._config.model_config_file)))
            self._complaint = ""
        except ServeError as error:
            # Once for each new complaint, not once for each look.
            if error.message != self._complaint:
                self._complaint = error.message
                logger.error("The config in force stays: %s", error)

    def _look_at_folder(self) -> None:
        models = models_in_folder(Path(self._config.model_base_path).absolute())
        with self._lock:
            if models != self._manager.models():
                self._manager.serve(models)


def models_in_folder(folder: Path) -> list[ServedModel]:
    """The subfolders of `folder` that have versions, by name. A hidden one is somebody's work in progress."""
    if not folder.is_dir():
        return []
    shown = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [ServedModel(path.name, path) for path in shown if list_versions(path)]


def _models_at(base_path: Path, name: str) -> list[ServedModel]:
    """One model, or every model of a folder of models: a folder without versions whose subfolders have some."""
    models = [] if list_versions(base_path) else models_in_folder(base_path)
    return models or [ServedModel(name, base_path)]
