"""Catalog: the models that the operator configured, and changes to them while the server runs.

The list comes from flags, from a config file that may be polled, from an RPC, or from a watched folder of models.
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
    """Tells the manager which models to serve. If a new list is rejected, the current one stays."""

    def __init__(self, manager: Manager, config: Config, request_log: RequestLog) -> None:
        self._manager = manager
        self._request_log = request_log
        self._config = config
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._last_error = ""

    def start(self, reloaded_config: bytes | None = None) -> None:
        """Serves the models that the flags name, or those of `reloaded_config`, and starts the polling that is set.

        Raises ServeError: INVALID_ARGUMENT for a bad config file, FAILED_PRECONDITION for labels of versions that are
        not available, as at the start.
        """
        config = self._config
        if reloaded_config is not None:
            self.reload(wire.ModelServerConfig.FromString(reloaded_config), checked=True)
        elif config.model_config_file:
            self.reload(read_config(Path(config.model_config_file)))
        elif not config.watch:
            self._manager.serve(_models_at(Path(config.model_base_path).absolute(), config.model_name))
        if config.model_config_file:
            self._poll(config.model_config_file_poll_wait_seconds, self._reload_file)
        elif config.watch:
            self._scan_folder()
            self._poll(config.file_system_poll_wait_seconds, self._scan_folder)

    def stop(self) -> None:
        self._stopping.set()

    def reload(self, config: wire.ModelServerConfig, *, checked: bool = False) -> list[str]:
        """Serves exactly the models of a ModelServerConfig. Returns the names of new ones, before they are loaded.

        Raises as `check`. `checked` means that the config passed that check before, when the versions of its
        labels were available.
        """
        with self._lock:
            models, log_rules = self._read(config) if checked else self.check(config)
            known = {model.name for model in self._manager.models()}
            self._manager.serve(models)
            self._request_log.update(log_rules)
        return [model.name for model in models if model.name not in known]

    def check(self, config: wire.ModelServerConfig) -> tuple[list[ServedModel], dict[str, Rule]]:
        """Returns the models of a ModelServerConfig and their logging rules.

        Raises INVALID_ARGUMENT or FAILED_PRECONDITION, with upstream's text, if they cannot be served.
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
        """Raises FAILED_PRECONDITION if a label names an unavailable version, unless flags allow this label."""
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

    def _poll(self, seconds: float, step: Callable[[], None]) -> None:
        if seconds <= 0:
            return

        def run() -> None:
            while not self._stopping.wait(seconds):
                try:
                    step()
                    self._last_error = ""
                except (ServeError, OSError) as error:
                    # Logged once for each new error, not at each poll.
                    if str(error) != self._last_error:
                        self._last_error = str(error)
                        logger.error("The current config stays: %s", error)
                except Exception:
                    logger.exception("The current config stays after an unexpected error")

        threading.Thread(target=run, name="catalog", daemon=True).start()

    def _reload_file(self) -> None:
        self.reload(read_config(Path(self._config.model_config_file)))

    def _scan_folder(self) -> None:
        models = models_in_folder(Path(self._config.model_base_path).absolute())
        with self._lock:
            if models != self._manager.models():
                self._manager.serve(models)


def models_in_folder(folder: Path) -> list[ServedModel]:
    """Returns the subfolders of `folder` that have versions, by name. Hidden ones are skipped: work in progress."""
    if not folder.is_dir():
        return []
    shown = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [ServedModel(path.name, path) for path in shown if list_versions(path)]


def _models_at(base_path: Path, name: str) -> list[ServedModel]:
    """Returns the model at `base_path`; if only its subfolders have versions, a model for each of them."""
    models = [] if list_versions(base_path) else models_in_folder(base_path)
    return models or [ServedModel(name, base_path)]
