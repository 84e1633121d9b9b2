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
from serve.lifecycle.misplaced import misplaced
from serve.lifecycle.source import ServedModel, versions_on_disk
from serve.lifecycle.state import ModelRef, State
from serve.lifecycle.version_policy import aspired_versions
from serve.models.model_config import listed_models, read_config
from serve.request_log.log import RequestLog, Rule, logging_rules
from tfx_export import wire
from tfx_export.savedmodel.version_folders import list_versions

logger = logging.getLogger("serve")


# Upstream's texts.
UNSUPPORTED_CONFIG = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
)
EMPTIED_CONFIG = (
    "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to another."
)


class Catalog:
    """Tells the manager which models to serve. If a new list is rejected, the current one stays."""

    def __init__(self, manager: Manager, config: Config, request_log: RequestLog) -> None:
        self._manager = manager
        self._request_log = request_log
        self._config = config
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._last_error = ""
        # The models that the flags name count as a list, as upstream; a config file without a list does not.
        self._has_list = False
        # The config that is in force; None if the flags name the models.
        self._current: wire.ModelServerConfig | None = None
        # The folders that have been reported as ignored.
        self._ignored: set[str] = set()

    def start(self, reloaded_config: bytes | None = None) -> None:
        """Serves the models that the flags name, or those of `reloaded_config`, and starts the polling that is set.

        Raises ServeError: INVALID_ARGUMENT for a bad config file, FAILED_PRECONDITION for labels of versions that the
        first config does not load.
        """
        config = self._config
        if reloaded_config is not None:
            self.reload(wire.ModelServerConfig.FromString(reloaded_config), checked=True)
        elif config.model_config_file:
            self._start_with(read_config(Path(config.model_config_file)))
        elif not config.watch:
            self._has_list = True
            self._manager.serve(self._models_at(Path(config.model_base_path).absolute(), config.model_name))
        if config.model_config_file:
            self._poll(config.model_config_file_poll_wait_seconds, self._reload_file)
        elif config.watch:
            self._has_list = True
            self._scan_folder()
            self._poll(config.file_system_poll_wait_seconds, self._scan_folder)
        if not self._manager.models():
            logger.info("No models yet: %s", self._why_none())

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
            self._has_list, self._current = True, config
        return [model.name for model in models if model.name not in known]

    def check(self, config: wire.ModelServerConfig) -> tuple[list[ServedModel], dict[str, Rule]]:
        """Returns the models of a ModelServerConfig and their logging rules.

        Raises INVALID_ARGUMENT or FAILED_PRECONDITION, with upstream's text, if they cannot be served.
        """
        models, log_rules = self._read(config)
        for model in models:
            self._check_labels(model)
        return models, log_rules

    def _why_none(self) -> str:
        if self._config.model_config_file:
            return f"{self._config.model_config_file} lists none"
        folder = Path(self._config.model_base_path)
        return f"{folder} {'holds none' if folder.is_dir() else 'is a file' if folder.exists() else 'does not exist'}"

    def _start_with(self, config: wire.ModelServerConfig) -> None:
        if config.WhichOneof("config") is None:
            self._manager.serve(())  # until a reload, or until the file has a list
        else:
            self.reload(config)

    def _read(self, config: wire.ModelServerConfig) -> tuple[list[ServedModel], dict[str, Rule]]:
        # A config without a list is not an empty list, which unloads every model.
        if config.WhichOneof("config") != "model_config_list":
            raise ServeError(Code.INVALID_ARGUMENT, UNSUPPORTED_CONFIG)
        return listed_models(config), logging_rules(config)

    def _check_labels(self, model: ServedModel) -> None:
        """Raises FAILED_PRECONDITION if a label names an unavailable version, unless flags allow this label.

        The first config may also name versions that it loads.
        """
        old = next((each.labels for each in self._manager.models() if each.name == model.name), {})
        will_load = set() if self._has_list or not model.labels else _versions_to_load(model)
        for label, version in sorted(model.labels.items()):
            free = self._config.allow_version_labels_for_unavailable_models and old.get(label, version) == version
            if not free and version not in will_load and not self._available(model.name, version):
                loads = f"The config loads: {', '.join(map(str, sorted(will_load))) or 'none'}"
                raise ServeError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {model.name}, "
                    f"which is not currently available for inference{'' if self._has_list else f'. {loads}'}",
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
        config = read_config(Path(self._config.model_config_file))
        if config == self._current:
            return
        if config.WhichOneof("config") is None:
            if not self._has_list:
                return
            # An editor may have emptied it to write it anew.
            hint = f"{self._config.model_config_file} is empty. To unload every model, write: model_config_list {{}}"
            raise ServeError(Code.FAILED_PRECONDITION, f"{EMPTIED_CONFIG} {hint}")
        self.reload(config)

    def _scan_folder(self) -> None:
        folder = Path(self._config.model_base_path).absolute()
        if not folder.is_dir() and self._manager.models():
            return  # it has vanished: the models stay, as the versions of a base path do
        models = models_in_folder(folder)
        if list_versions(folder):
            self._log_ignored(
                f"{folder} holds versions, not models: serve it without --watch, or watch {folder.parent}"
            )
        else:
            self._log_folders_without_versions(folder)
        with self._lock:
            if models != self._manager.models():
                self._manager.serve(models)

    def _models_at(self, base_path: Path, name: str) -> list[ServedModel]:
        """Returns the model at `base_path`; if only its subfolders have versions, a model for each of them."""
        models = [] if list_versions(base_path) else models_in_folder(base_path)
        if models:
            self._log_folders_without_versions(base_path)
        return models or [ServedModel(name, base_path)]

    def _log_folders_without_versions(self, folder: Path) -> None:
        for path in _visible(folder):
            if path.is_dir() and not list_versions(path) and (hint := misplaced(path, {})):
                self._log_ignored(hint)

    def _log_ignored(self, text: str) -> None:
        if text not in self._ignored:
            self._ignored.add(text)
            logger.warning("%s", text)


def models_in_folder(folder: Path) -> list[ServedModel]:
    """Returns the subfolders of `folder` that have versions, by name. Hidden ones are skipped: work in progress."""
    return [ServedModel(path.name, path) for path in _visible(folder) if list_versions(path)]


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def _versions_to_load(model: ServedModel) -> set[int]:
    """Returns the versions on disk that the policy of `model` loads; empty if they cannot be listed."""
    try:
        return aspired_versions(model.policy, versions_on_disk(model) or {}, ())
    except OSError:
        return set()
