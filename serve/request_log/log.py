"""RequestLog: writes a sample of requests and responses as PredictionLog records in TFRecord files.

The files can serve as `assets.extra/tf_serving_warmup_requests` and as input of `tfx-export replay`. Requests never
wait for the log: a thread writes, and entries that it cannot keep up with are dropped and counted.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from serve import metrics
from serve.errors import Code, ServeError
from serve.request_log.record_file import RecordFile
from tfx_export import wire
from tfx_export.savedmodel.version_folders import remote_storage

logger = logging.getLogger("serve")

# How many bytes of arrays may wait to be written.
MAX_PENDING_BYTES = 64 << 20
COLLECTORS = ("", "tfrecord")

# Fills the request and response of a PredictionLog. Called in the writer's thread.
Fill: TypeAlias = Callable[[wire.PredictionLog], None]


@dataclass(frozen=True)
class Rule:
    """Where the requests of a model are logged, and which share of them."""

    prefix: str
    rate: float
    sampling: wire.SamplingConfig


@dataclass(frozen=True)
class _Entry:
    rule: Rule
    spec: wire.ModelSpec
    fill: Fill
    size: int
    seconds: int


def logging_rule(model: str, config: wire.LoggingConfig) -> Rule | None:
    """Returns the rule of a LoggingConfig; None if it logs nothing. Raises INVALID_ARGUMENT if it is not supported."""
    collector = config.log_collector_config
    if collector.type not in COLLECTORS:
        raise ServeError(
            Code.INVALID_ARGUMENT,
            f'logging_config of model {model}: log collector type "{collector.type}" is not known; use "tfrecord"',
        )
    rate = config.sampling_config.sampling_rate
    for task in config.sampling_config.per_task_sampling_configs:
        if not task.dc and task.task_index == 0:
            rate = task.sampling_rate
            break
    if not 0.0 <= rate <= 1.0:
        raise ServeError(
            Code.INVALID_ARGUMENT, f"logging_config of model {model}: sampling_rate {rate:g} is not between 0 and 1"
        )
    if rate == 0.0:
        return None
    if not collector.filename_prefix:
        raise ServeError(
            Code.INVALID_ARGUMENT,
            f"logging_config of model {model}: log_collector_config.filename_prefix is missing, e.g. "
            f'"/var/log/serving/{model}"',
        )
    if remote := remote_storage(collector.filename_prefix):
        raise ServeError(
            Code.INVALID_ARGUMENT, f"logging_config of model {model}: filename_prefix cannot be used: {remote}"
        )
    return Rule(collector.filename_prefix, rate, config.sampling_config)


def logging_rules(config: wire.ModelServerConfig) -> dict[str, Rule]:
    """Returns the rules of a ModelServerConfig by model. Raises INVALID_ARGUMENT if one is not supported."""
    found = {model.name: logging_rule(model.name, model.logging_config) for model in config.model_config_list.config}
    return {name: each for name, each in found.items() if each is not None}


class RequestLog:
    """Takes entries from requests and writes them in its own thread."""

    def __init__(self, saved_model_tags: str, *, max_file_bytes: int, max_files: int) -> None:
        """A file is closed at `max_file_bytes`. The newest `max_files` of each prefix are kept."""
        self._tags = [tag for tag in saved_model_tags.split(",") if tag]
        self._max_file_bytes = max_file_bytes
        self._max_files = max_files
        # By model.
        self.rules: Mapping[str, Rule] = {}
        self._files: dict[str, RecordFile] = {}
        self._pending: deque[_Entry] = deque()
        self._pending_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def update(self, rules: Mapping[str, Rule]) -> None:
        """Replaces the rules, by model."""
        self.rules = dict(rules)

    def sample(self, model: str) -> Rule | None:
        """Returns the rule to log this request of `model` by; None if it is not in the sample."""
        found = self.rules.get(model)
        return found if found is not None and random.random() < found.rate else None  # noqa: S311

    def put(self, rule: Rule, spec: wire.ModelSpec, size: int, fill: Fill) -> None:
        """Queues a request for the log. `spec` is the ModelSpec that answered, `size` the bytes that `fill` holds."""
        with self._changed:
            if self._closing or self._pending_bytes + size > MAX_PENDING_BYTES:
                metrics.request_log_dropped.add(spec.name)
                return
            self._pending.append(_Entry(rule, spec, fill, size, int(time.time())))
            self._pending_bytes += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Writes all queued entries and closes the files."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        for file in self._files.values():
            file.close()

    # In the writer's thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closing)
                if not self._pending:
                    return
                entry = self._pending.popleft()
            code = self._write(entry)
            metrics.request_log_count.add(entry.spec.name, code.name)
            with self._changed:
                self._pending_bytes -= entry.size

    def _write(self, entry: _Entry) -> Code:
        try:
            self._file(entry.rule.prefix).append(self._record(entry).SerializeToString())
        except OSError as error:
            logger.error("Request log %s: %s", entry.rule.prefix, error)
            return Code.UNAVAILABLE
        except Exception:  # a record that cannot be written must not end the log
            logger.exception("Request log %s", entry.rule.prefix)
            return Code.INTERNAL
        return Code.OK

    def _record(self, entry: _Entry) -> wire.PredictionLog:
        log = wire.PredictionLog()
        log.log_metadata.model_spec.CopyFrom(entry.spec)
        log.log_metadata.sampling_config.CopyFrom(entry.rule.sampling)
        log.log_metadata.saved_model_tags.extend(self._tags)
        log.log_metadata.timestamp_secs = entry.seconds
        entry.fill(log)
        return log

    def _file(self, prefix: str) -> RecordFile:
        if prefix not in self._files:
            self._files[prefix] = RecordFile(Path(prefix), self._max_file_bytes, self._max_files)
        return self._files[prefix]
