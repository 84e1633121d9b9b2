"""Config: all settings of the server, in one frozen object that every layer gets.

Each field is a flag of the same name; serve/flags.py has the help. No other module reads flags or the environment.
"""

from dataclasses import dataclass

# A port that the system chooses, `auto` on the command line. 0 switches a protocol off, as upstream.
ANY_PORT = -1
# The host that means every loopback address: 127.0.0.1 and ::1.
LOOPBACK = "localhost"


@dataclass(frozen=True)
class Config:
    """The settings of the server. Names give the units of times; sizes are in bytes; a port may be ANY_PORT."""

    # Models
    model_base_path: str = ""
    model_name: str = "default"
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: int = 0
    watch: bool = False

    # Ports
    host: str = LOOPBACK
    port: int = 8500
    grpc_socket_path: str = ""
    grpc_channel_arguments: str = ""
    rest_api_port: int = 8501
    one_port: bool = False
    rest_api_timeout_in_ms: int = 30_000
    keep_alive_seconds: int = 75
    rest_api_enable_cors_support: bool = False
    no_ui: bool = False
    front: str = "auto"
    workers: int = 1

    # Versions and loading
    file_system_poll_wait_seconds: float = 1.0
    num_load_threads: int = 0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    allow_version_labels_for_unavailable_models: bool = False
    saved_model_tags: str = "serve"
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    op_library: tuple[str, ...] = ()
    import_module: tuple[str, ...] = ()
    prepared_dir: str = ""
    max_prepared_bytes: int = 16 << 30
    max_prepare_bytes: int = 0
    max_prepare_seconds: float = 600.0

    # Running
    engine: str = "auto"
    prefer_tflite_model: bool = False
    num_tflite_pools: int = 0
    num_tflite_interpreters_per_pool: int = 1
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    tensorflow_session_config_file: str = ""
    enable_signature_method_name_check: bool = False
    enable_serialization_as_tensor_content: bool = False
    rest_api_num_threads: int = 0
    grpc_max_threads: int = 0

    # Batching
    enable_batching: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False

    # On a Ray cluster
    on: str = "here"
    ray_address: str = ""
    min_replicas: int = 1
    max_replicas: int = 4
    target_ongoing_requests: float = 2.0
    cpus_per_replica: float = 1.0

    # Operating
    drain_seconds: float = 30.0
    ready_file: str = ""
    monitoring_config_file: str = ""
    log_format: str = "text"
    log_level: str = "info"
    access_log: bool = False
    request_log_max_file_bytes: int = 64 << 20
    request_log_max_files: int = 16
    otlp_endpoint: str = ""

    # Access
    ssl_config_file: str = ""
    rest_ssl_config_file: str = ""
    auth_token_file: str = ""
    allow_file_ops: bool = False

    # Limits; 0 means no limit
    max_body_bytes: int = 256 << 20
    max_decompressed_bytes: int = 512 << 20
    max_header_bytes: int = 64 << 10
    max_json_depth: int = 128
    max_tensor_elements: int = 64 << 20
    max_concurrent_requests: int = 1024
    max_request_seconds: float = 600.0
    max_idle_seconds: float = 30.0
    enable_profiler: bool = True
    enable_grpc_healthcheck_service: bool = True
