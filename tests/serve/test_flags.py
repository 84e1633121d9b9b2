"""The command line: all ways to write a flag, and the messages for invalid ones."""

from dataclasses import fields

import pytest

from serve.config import ANY_PORT, Config
from serve.flags import FLAGS, FlagError, parse, usage


def test_settings_and_flags_correspond() -> None:
    settings = {field.name for field in fields(Config)}
    effective = {"import_module" if name == "import" else name for name, flag in FLAGS.items() if not flag.inert}
    assert settings == effective


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("models/mnist", {"model_base_path": "models/mnist", "model_name": "mnist"}),
        ("models/mnist --model_name=m", {"model_base_path": "models/mnist", "model_name": "m"}),
        ("--model_name=m models/mnist", {"model_base_path": "models/mnist", "model_name": "m"}),
        ("--model_base_path=models/mnist", {"model_base_path": "models/mnist", "model_name": "default"}),
        ("--port=9000", {"port": 9000}),
        ("--port 9000 --rest-api-port 9001", {"port": 9000, "rest_api_port": 9001}),
        ("-port=9000", {"port": 9000}),
        ("--port=auto --rest_api_port=0", {"port": ANY_PORT, "rest_api_port": 0}),
        ("--enable_batching", {"enable_batching": True}),
        ("--enable_batching models/m", {"enable_batching": True, "model_base_path": "models/m", "model_name": "m"}),
        ("--enable_batching false", {"enable_batching": False}),
        ("--enable_model_warmup=false", {"enable_model_warmup": False}),
        ("--drain-seconds=2.5", {"drain_seconds": 2.5}),
        ("--op_library=a.so --op_library b.so --import=x", {"op_library": ("a.so", "b.so"), "import_module": ("x",)}),
    ],
)
def test_valid_flags(line: str, expected: dict[str, object]) -> None:
    config, notes = parse(line.split())
    assert config == Config(**expected)  # type: ignore[arg-type]
    assert notes == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--prot=1", "There is no flag --prot. Did you mean --port?"),
        ("--qqqqqqqq", "There is no flag --qqqqqqqq. --help lists all flags."),
        ("--port=x", "--port=x: expected a whole number."),
        ("--port=70000", "--port=70000: expected a port from 1 to 65535, auto for any free port, or 0."),
        ("--rest_api_port=-5", "--rest_api_port=-5: expected a port from 1 to 65535, auto for any free port, or 0."),
        ("--keep_alive_seconds=-1", "--keep_alive_seconds=-1: expected a number of at least 0; 0 means no limit."),
        ("--max_idle_seconds=nan", "--max_idle_seconds=nan: expected a number of at least 0; 0 means no limit."),
        ("--max_request_seconds=inf", "--max_request_seconds=inf: expected a number of at least 0; 0 means no limit."),
        ("--max_header_bytes=-5", "--max_header_bytes=-5: expected a number of at least 0; 0 means no limit."),
        ("--drain_seconds=x", "--drain_seconds=x: expected a number."),
        ("--port", "--port needs a value: --port=..."),
        ("--enable_batching=maybe", "--enable_batching=maybe: expected true or false."),
        (
            "--tensorflow_session_parallelism=2 --tensorflow_intra_op_parallelism=2",
            "Either configure tensorflow_session_parallelism or (tensorflow_intra_op_parallelism, "
            "tensorflow_inter_op_parallelism) separately. You cannot configure all.",
        ),
        ("a b", "Unexpected argument 'b': the folder to serve is given once."),
        ("--workers=0", "--workers=0: expected at least 1."),
        (
            "--workers=2 --on=ray",
            "--workers is for one machine; on Ray use --min_replicas and --max_replicas.",
        ),
        (
            "--workers=2 --port=0 --rest_api_port=0 --grpc_socket_path=s",
            "--workers shares ports: a Unix socket alone has one listener. Give --port or --rest_api_port.",
        ),
    ],
)
def test_invalid_flags(line: str, message: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(line.split())
    assert str(caught.value) == message


@pytest.mark.parametrize("line", ["--mixed_precision=bfloat16", "--mixed_precision bfloat16", "--skip_initialize_tpu"])
def test_a_flag_without_effect_gives_the_reason(line: str) -> None:
    config, notes = parse([*line.split(), "--port=1"])
    assert config == Config(port=1)
    assert [note.startswith(f"{line.split('=')[0].split()[0]} has no effect: ") for note in notes] == [True]


def test_unknown_flags_are_ignored_if_tolerant() -> None:
    assert parse(["--new_upstream_flag=1"], tolerant=True) == (
        Config(),
        ["unknown flag --new_upstream_flag is ignored"],
    )


def test_every_flag_is_in_the_help() -> None:
    text = usage("serve")
    for name, flag in FLAGS.items():
        assert f"--{name}" in text
        assert flag.help or flag.inert
