"""The flags: a table of names and help texts, and the parser from a command line to a Config.

A flag is written `--flag=value` or `--flag value`, with underscores or dashes. A boolean without a value means true.
"""

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from serve import logs
from serve.config import ANY_PORT, Config


@dataclass(frozen=True)
class Flag:
    """A flag. Config has a field of the same name, unless `inert` says why the flag has no effect."""

    name: str
    help: str
    inert: str = ""


GROUPS: dict[str, tuple[Flag, ...]] = {
    "Models": (
        Flag("model_base_path", "folder with the version folders of the model (or the positional DIR)"),
        Flag("model_name", "name that clients use; the last part of DIR if DIR is given"),
        Flag("model_config_file", "ModelServerConfig in text format: several models, version policies, labels"),
        Flag("model_config_file_poll_wait_seconds", "seconds between two reads of that file; 0 reads it once"),
        Flag("watch", "DIR is a folder of models: add and remove models when their folders appear and disappear"),
    ),
    "Ports": (
        Flag(
            "host",
            "address to listen on; localhost for 127.0.0.1 and ::1, 0.0.0.0 for every interface, :: for IPv6 as well",
        ),
        Flag("port", "gRPC port; 0 means no gRPC over TCP, auto means any free port"),
        Flag("grpc_socket_path", "also listen for gRPC on this Unix socket"),
        Flag(
            "grpc_channel_arguments",
            "comma-separated name=value options of gRPC's own server (only with --front=python)",
        ),
        Flag("rest_api_port", "REST port; 0 means no REST, auto means any free port"),
        Flag("one_port", "answer REST on --port as well, and open no REST port (native front)"),
        Flag("rest_api_timeout_in_ms", "milliseconds after which a REST call ends with an error"),
        Flag(
            "keep_alive_seconds",
            "seconds after which a connection without requests is closed; 0 keeps it open. Choose more than the idle "
            "timeout of your load balancer. With --front=python only REST connections are closed",
        ),
        Flag("rest_api_enable_cors_support", "send CORS headers"),
        Flag("no_ui", "serve no web page on the REST port"),
        Flag("front", "implementation of the protocols: auto, python or native"),
        Flag("workers", "number of processes that share the ports, each with all models in memory (native front)"),
    ),
    "Versions and loading": (
        Flag("file_system_poll_wait_seconds", "seconds between two searches for new versions; 0 searches once"),
        Flag("num_load_threads", "number of versions loaded at the same time"),
        Flag("max_num_load_retries", "number of further attempts after a load failed with a transient error"),
        Flag("load_retry_interval_micros", "microseconds between those attempts"),
        Flag("allow_version_labels_for_unavailable_models", "labels may name versions that are not available yet"),
        Flag("saved_model_tags", "comma-separated tags of the meta graph to load"),
        Flag(
            "enable_model_warmup", "replay assets.extra/tf_serving_warmup_requests before a version becomes available"
        ),
        Flag("num_request_iterations_for_warmup", "how many times each warmup request is replayed"),
        Flag("op_library", "shared library with custom operators (may be repeated)"),
        Flag("import", "Python module that registers custom operators (may be repeated)"),
        Flag("prepared_dir", "folder of prepared versions, shared by servers; empty: below the user's cache folder"),
        Flag("max_prepared_bytes", "bytes of prepared versions that are kept there; 0 lifts the limit"),
        Flag("max_prepare_bytes", "memory that preparing a version may take; 0 allows 80 % of what is free"),
        Flag("max_prepare_seconds", "seconds that preparing a version may take; 0 lifts the limit"),
    ),
    "Running": (
        Flag("engine", "engine that runs models: auto, tensorflow or litert"),
        Flag("prefer_tflite_model", "run model.tflite if a version has one"),
        Flag("num_tflite_pools", "number of interpreter pools of a model.tflite; 0 derives it from the number of CPUs"),
        Flag("num_tflite_interpreters_per_pool", "number of interpreters in each of those pools"),
        Flag("tensorflow_session_parallelism", "number of threads of a session, within and between operators"),
        Flag("tensorflow_intra_op_parallelism", "number of threads within an operator; 0 lets the server choose"),
        Flag(
            "tensorflow_inter_op_parallelism",
            "number of operators run at the same time; 0 runs them on the request's thread",
        ),
        Flag("tensorflow_session_config_file", "ConfigProto in text format for sessions"),
        Flag("enable_signature_method_name_check", "reject signatures whose method name does not match the call"),
        Flag("enable_serialization_as_tensor_content", "answer Predict with tensor_content instead of *_val fields"),
        Flag("rest_api_num_threads", "number of threads for model runs of REST; 0 derives it from the number of CPUs"),
        Flag("grpc_max_threads", "number of threads for model runs of gRPC; 0 derives it from the number of CPUs"),
    ),
    "Batching": (
        Flag("enable_batching", "merge concurrent requests into batches"),
        Flag("batching_parameters_file", "BatchingParameters in text format"),
        Flag("enable_per_model_batching_parameters", "read batching_params.pbtxt from each version folder"),
    ),
    "On a Ray cluster": (
        Flag("on", "where the server runs: here, or ray for replicas on a Ray cluster"),
        Flag("ray_address", "address of the cluster; default: RAY_ADDRESS, a cluster on this machine, or a new one"),
        Flag("min_replicas", "minimum number of replicas"),
        Flag("max_replicas", "maximum number of replicas"),
        Flag("target_ongoing_requests", "requests in flight per replica that autoscaling aims for"),
        Flag("cpus_per_replica", "CPUs that Ray reserves for a replica"),
    ),
    "Operating": (
        Flag("drain_seconds", "seconds that requests in flight have to finish after SIGTERM"),
        Flag(
            "ready_file", "file that gets the process id and the addresses, as JSON, once the server answers requests"
        ),
        Flag("monitoring_config_file", "MonitoringConfig in text format: Prometheus metrics"),
        Flag("log_format", "text for people, json for machines"),
        Flag("log_level", "debug, info, warning or error"),
        Flag("access_log", "log a line for each request"),
        Flag("request_log_max_file_bytes", "maximum size of a file of sampled requests (logging_config)"),
        Flag("request_log_max_files", "number of files of sampled requests to keep"),
        Flag("otlp_endpoint", "send a trace of each request to this OpenTelemetry collector, http://HOST:4318"),
        Flag("enable_profiler", "answer TensorFlow's profiler client"),
        Flag("enable_grpc_healthcheck_service", "answer grpc.health.v1"),
    ),
    "Access": (
        Flag("ssl_config_file", "SSLConfig in text format: TLS for gRPC"),
        Flag("rest_ssl_config_file", "SSLConfig in text format: TLS for REST"),
        Flag("auth_token_file", "file of bearer tokens; every request must carry one of them"),
        Flag("allow_file_ops", "load models that read or write files as they run"),
    ),
    "Limits (0 lifts one)": (
        Flag("max_body_bytes", "maximum bytes of a request"),
        Flag("max_decompressed_bytes", "maximum bytes of a request after decompression"),
        Flag("max_header_bytes", "maximum bytes of the headers of a request"),
        Flag("max_json_depth", "maximum depth of a JSON request"),
        Flag("max_tensor_elements", "maximum elements of an input"),
        Flag("max_concurrent_requests", "maximum number of requests in flight"),
        Flag("max_request_seconds", "maximum seconds of a request"),
        Flag("max_idle_seconds", "maximum seconds without progress while a request is received"),
    ),
    "Accepted for compatibility, without effect": (
        Flag("num_unload_threads", "", "versions are unloaded by the threads that load them"),
        Flag("flush_filesystem_caches", "", "the operating system manages the page cache"),
        Flag("use_alts_credentials", "", "ALTS exists only inside Google Cloud; use --ssl_config_file"),
        Flag("platform_config_file", "", "--engine selects the engine"),
        Flag("per_process_gpu_memory_fraction", "", "set it in --tensorflow_session_config_file"),
        Flag("remove_unused_fields_from_bundle_metagraph", "", "the meta graph is not kept after loading"),
        Flag("xla_cpu_compilation_enabled", "", "XLA is slower for serving on the CPU; models compiled for it run"),
        Flag("xla_gpu_compilation_enabled", "", "models that request XLA get it"),
        Flag("thread_pool_factory_config_file", "", "operators run on the request's own thread"),
        Flag("mixed_precision", "", "graphs run in the precision they were exported in"),
        Flag("skip_initialize_tpu", "", "there is no TPU to initialise"),
    ),
}
FLAGS: dict[str, Flag] = {flag.name: flag for group in GROUPS.values() for flag in group}

# Limits, of which 0 means none.
_NOT_NEGATIVE = frozenset({"keep_alive_seconds", *(flag.name for flag in GROUPS["Limits (0 lifts one)"])})

# `import` is a keyword, so the field has another name.
_FIELD = {"import": "import_module"}
# Flags with a fixed set of values.
_CHOICES = {"log_format": logs.FORMATS, "log_level": logs.LEVELS, "on": ("here", "ray")}
_PORTS = ("port", "rest_api_port")
_LARGEST_PORT = 65_535
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class FlagError(Exception):
    """An invalid command line. The message says what to type."""


def parse(arguments: Sequence[str], *, tolerant: bool = False) -> tuple[Config, list[str]]:
    """Returns the Config of a command line, and a line for each given flag that has no effect.

    Raises FlagError for unknown flags (if `tolerant`, they get a line too), invalid values and extra arguments.
    """
    values: dict[str, Any] = {}
    notes: list[str] = []
    kinds = {field.name: field.type for field in fields(Config)}
    for name, value in _split(arguments):
        if name is None:
            if "model_base_path" in values:
                raise FlagError(f"Unexpected argument {value!r}: the folder to serve is given once.")
            values["model_base_path"] = value
            values.setdefault("model_name", Path(value or ".").absolute().name)
        elif name not in FLAGS:
            if not tolerant:
                raise FlagError(f"There is no flag --{name}.{_nearest(name)}")
            notes.append(f"unknown flag --{name} is ignored")
        elif FLAGS[name].inert:
            notes.append(f"--{name} has no effect: {FLAGS[name].inert}")
        else:
            field = _FIELD.get(name, name)
            parsed = _value(name, kinds[field], value)
            values[field] = (*values.get(field, ()), parsed) if "tuple" in str(kinds[field]) else parsed
    config = Config(**values)
    if config.tensorflow_session_parallelism and (
        config.tensorflow_intra_op_parallelism or config.tensorflow_inter_op_parallelism
    ):
        raise FlagError(
            "Either configure tensorflow_session_parallelism or (tensorflow_intra_op_parallelism, "
            "tensorflow_inter_op_parallelism) separately. You cannot configure all."
        )
    _check_workers(config)
    return config, notes


def _check_workers(config: Config) -> None:
    if config.workers < 1:
        raise FlagError(f"--workers={config.workers}: expected at least 1.")
    if config.workers > 1 and config.on == "ray":
        raise FlagError("--workers is for one machine; on Ray use --min_replicas and --max_replicas.")
    if config.workers > 1 and not (config.port or config.rest_api_port):
        raise FlagError("--workers shares ports: a Unix socket alone has one listener. Give --port or --rest_api_port.")


def usage(program: str) -> str:
    """Returns the text of --help."""
    defaults = Config()
    lines = [f"Usage: {program} [DIR] [--flag=value ...]", "", "Serve the SavedModels in DIR over gRPC and REST."]
    for title, group in GROUPS.items():
        lines += ["", f"{title}:"]
        for flag in group:
            default = "" if flag.inert else _shown(getattr(defaults, _FIELD.get(flag.name, flag.name)))
            lines.append(f"  --{flag.name}{default}\n      {flag.inert or flag.help}")
    lines += ["", "  --version\n      print the versions and exit", "  --help\n      print this and exit"]
    return "\n".join(lines)


def _split(arguments: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """Yields (name, value) for a flag and (None, argument) for another argument."""
    booleans = {field.name for field in fields(Config) if field.type is bool}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-") or argument == "-":
            yield None, argument
            continue
        name, equals, value = argument.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if equals:
            yield name, value
        elif name in booleans or name not in FLAGS or (FLAGS[name].inert and not _takes_next(rest)):
            # A boolean takes the next word only if that is true or false.
            yield name, rest.pop(0) if rest and rest[0].lower() in ("true", "false") else None
        else:
            yield name, rest.pop(0) if rest else None


def _takes_next(rest: Sequence[str]) -> bool:
    return bool(rest) and not rest[0].startswith("-")


def _value(name: str, kind: Any, value: str | None) -> Any:
    if value is None:
        if kind is bool:
            return True
        raise FlagError(f"--{name} needs a value: --{name}=...")
    if kind is bool:
        if value.lower() not in _BOOLEANS:
            raise FlagError(f"--{name}={value}: expected true or false.")
        return _BOOLEANS[value.lower()]
    if name in _PORTS and value == "auto":
        return ANY_PORT
    if name in _CHOICES and value not in _CHOICES[name]:
        raise FlagError(f"--{name}={value}: expected {' or '.join(_CHOICES[name])}.")
    return _number(name, kind, value) if kind in (int, float) else value


def _number(name: str, kind: type[int] | type[float], value: str) -> int | float:
    try:
        number = kind(value)
    except ValueError:
        raise FlagError(f"--{name}={value}: expected {'a whole number' if kind is int else 'a number'}.") from None
    if name in _PORTS and not 0 <= number <= _LARGEST_PORT:
        raise FlagError(f"--{name}={value}: expected a port from 1 to {_LARGEST_PORT}, auto for any free port, or 0.")
    if name in _NOT_NEGATIVE and not 0 <= number < math.inf:
        raise FlagError(f"--{name}={value}: expected a number of at least 0; 0 means no limit.")
    return number


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, FLAGS, n=1)
    return f" Did you mean --{near[0]}?" if near else " --help lists all flags."


def _shown(default: object) -> str:
    if default == () or default == "":
        return ""
    return f"={str(default).lower() if isinstance(default, bool) else default}"
