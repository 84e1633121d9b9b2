"""Core: the models and the API over them, without ports. Every front connects one to the network."""

import contextlib
import logging
import threading
from pathlib import Path

from serve import engines, warmup
from serve.api import Api
from serve.batching.config import BatchingConfig
from serve.batching.runner import BatchingRunner
from serve.config import Config
from serve.errors import ServeError
from serve.execution.runner import DirectRunner, Runner
from serve.lifecycle.manager import Manager
from serve.lifecycle.quarantine import LoadingMarks
from serve.lifecycle.source import ServedModel
from serve.lifecycle.state import ModelRef, State, VersionStatus
from serve.loaded_model import LoadedModel, LoadReport
from serve.logged_api import LoggedApi
from serve.measuring import BatchingMetrics, MeasuredRunner
from serve.models.catalog import Catalog
from serve.models.file_ops import reject_file_ops
from serve.models.model_metrics import load_measured, record_state
from serve.models.peers import NoPeers, PeerHandler, Peers
from serve.models.string_inputs import string_inputs
from serve.request import tracing
from serve.request.admission import Admission
from serve.request_log.log import RequestLog
from serve.startup.overview import ServedVersion
from serve.startup.request_example import request_example
from tfx_export.savedmodel.dtypes import type_string
from tfx_export.savedmodel.signature import TensorSpec

logger = logging.getLogger("serve")


class Core:
    """One per process that runs models."""

    def __init__(self, config: Config, peers: Peers | None = None, marks: LoadingMarks | None = None) -> None:
        """`peers` are the other processes of the server, if there are any; `marks` are for their supervisor."""
        self.config = config
        if config.otlp_endpoint:
            tracing.setup(config.otlp_endpoint)
        self.admission = Admission(config)
        self._stopping = threading.Event()
        self.manager = Manager(
            self._load,
            poll_seconds=config.file_system_poll_wait_seconds,
            load_threads=max(1, config.num_load_threads),
            max_retries=config.max_num_load_retries,
            retry_seconds=config.load_retry_interval_micros / 1e6,
        )
        self.manager.subscribe(_log_state)
        self.manager.subscribe(record_state)
        self._marks = marks
        if marks:
            self.manager.subscribe(marks.record)
        self._batching = BatchingConfig.from_flags(config)
        self._batcher = _batcher(self._batching) if self._batching else None
        self._runner: Runner = MeasuredRunner(
            self._batcher or DirectRunner(max(config.grpc_max_threads, config.rest_api_num_threads))
        )
        self._request_log = RequestLog(
            config.saved_model_tags,
            max_file_bytes=config.request_log_max_file_bytes,
            max_files=config.request_log_max_files,
        )
        self.catalog = Catalog(self.manager, config, self._request_log)
        self.peer_handler = PeerHandler(self.manager, self.catalog)
        self.api: Api = LoggedApi(
            self.manager, self.catalog, self._runner, config, peers or NoPeers(), self._request_log
        )

    def start(self, reloaded_config: bytes | None = None) -> None:
        """Loads the first versions. Blocks until a model is available; raises ServeError if none ever will be.

        `reloaded_config` is a ModelServerConfig that replaced the flags' models while an earlier process ran.
        """
        engines.check_settings(self.config)
        self.manager.start()
        self.catalog.start(reloaded_config)
        self.manager.wait_loaded()

    def stop(self) -> None:
        """Unloads all versions once their leases are released."""
        self._stopping.set()
        self.catalog.stop()
        self.manager.stop()
        self._runner.close()
        self.flush()

    def flush(self) -> None:
        """Writes the pending records of the request log and spans. Blocks. No request is logged after this."""
        self._request_log.close()
        tracing.flush()

    def served_versions(self) -> tuple[ServedVersion, ...]:
        """Returns the versions that are available now."""
        found: list[ServedVersion] = []
        for model in self.manager.models():
            try:
                statuses = self.manager.status(ModelRef(model.name))
            except ServeError:
                continue
            for status in statuses:
                with contextlib.suppress(ServeError):  # it has been replaced in the meantime
                    if status.state is State.AVAILABLE:
                        found.append(self._served_version(model, status.version))
        return tuple(found)

    def _served_version(self, model: ServedModel, version: int) -> ServedVersion:
        with self.manager.lease(ModelRef(model.name, version)) as lease:
            signatures = {
                name: {alias: _spec_text(spec) for alias, spec in signature.inputs.items()}
                for name, signature in lease.model.signatures.items()
                if signature.inputs
            }
            try:
                verb, example = request_example(lease.model.signatures, string_inputs(model, version, self.config))
            except Exception:  # the version serves without an example
                logger.exception("No example of a request to %s version %d", model.name, version)
                verb, example = "", ""
            return ServedVersion(model.name, version, lease.model.engine, signatures, verb, example)

    def _load(self, path: Path) -> tuple[LoadedModel, LoadReport]:
        return load_measured(self._load_checked, path, engines.started)

    def _load_checked(self, path: Path) -> LoadedModel:
        if self._marks:
            self._marks.check(path)
        if not self.config.allow_file_ops:
            reject_file_ops(path)
        parameters = self._batching and self._batching.of_version(path)
        model = engines.load(path, self.config, self._stopping)
        if self.config.enable_model_warmup:
            self._warm_up(model, path)
        if self._batcher and parameters:
            self._batcher.batch(model, parameters)
        return model

    def _warm_up(self, model: LoadedModel, path: Path) -> None:
        try:
            count = warmup.replay(model, path, iterations=self.config.num_request_iterations_for_warmup)
        except BaseException:
            model.close()
            raise
        if count:
            logger.info("Warmed up %s with %d requests", path, count)


def _batcher(batching: BatchingConfig) -> BatchingRunner:
    return BatchingRunner(batching.common, BatchingMetrics(batching.common.thread_pool_name))


def _spec_text(spec: TensorSpec) -> str:
    """Returns text like `float[?,784]`."""
    dtype = type_string(spec.dtype)
    if spec.shape is None:
        return f"{dtype}[...]"
    return f"{dtype}[{','.join('?' if size is None else str(size) for size in spec.shape)}]"


def _log_state(name: str, status: VersionStatus, _: Path) -> None:
    if status.message:
        logger.error(
            "%s version %d: %s, %s: %s", name, status.version, status.state.name, status.code.name, status.message
        )
    else:
        logger.info("%s version %d: %s", name, status.version, status.state.name)
