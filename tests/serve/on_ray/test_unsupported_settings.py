"""Settings that Ray does not support are rejected before the cluster is contacted."""

import importlib.util
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--one_port", "--one_port has no effect on Ray's proxies"),
        ("--rest_api_port=0", "Ray's proxies always answer REST"),
        ("--min_replicas=5", "expected 1 <= min <= max"),
        ("--ray_address=127.0.0.1:1", "There is no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_unsupported_settings(flag: str, message: str) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed (pip install 'tfx-export[ray]')")
    ended = subprocess.run(
        [sys.executable, "-m", "serve", "models/m", "--on=ray", flag], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
