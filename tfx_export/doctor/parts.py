"""Checks the optional parts: the purpose of each, whether it is installed, and why it cannot run."""

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec

from tfx_export.doctor.finding import Finding
from tfx_export.doctor.versions import installed
from tfx_export.server_program import safe_python

AREA = "Optional parts"

# Extra -> (distribution, module, what it adds)
EXTRAS = {
    "keras2": ("tf_keras", "tf_keras", "reads Keras 2 files"),
    "litert": ("ai-edge-litert", "ai_edge_litert", "the LiteRT engine and --accelerate"),
    "otel": ("opentelemetry-sdk", "opentelemetry.sdk", "traces of requests with --otlp_endpoint"),
}

# In a separate process, because the toolkit does not import the server.
_NATIVE = "from serve.fronts.native.embedded_python import why_unavailable; print(why_unavailable() or '')"
_TENSORFLOW = """
import time
began = time.perf_counter()
from tfx_export.tensorflow_import import import_tensorflow
import_tensorflow()
import tensorflow as tf
took = time.perf_counter() - began
assert float(tf.reduce_sum(tf.matmul(tf.ones([64, 64]), tf.ones([64, 64])))) == 64.0**3
devices = ", ".join(device.name.rpartition("device:")[2] for device in tf.config.list_physical_devices())
print(f"{tf.__version__}, imported in {took:.1f} s, computes on {devices}")
"""
SECONDS = 120


def findings(*, deep: bool) -> Iterator[Finding]:
    """Yields the extras, the native front, and with `deep` TensorFlow, which runs in a new process."""
    for extra, (distribution, module, purpose) in EXTRAS.items():
        if _found(module):
            yield Finding(AREA, extra, "ok", f"{distribution} {installed(distribution) or ''}: {purpose}")
        else:
            advice = f"pip install 'tfx-export[{extra}]'"
            yield Finding(AREA, extra, "missing", f"{distribution} is not installed: {purpose}", advice)
    yield from _keras2_fits()
    yield _native()
    if deep:
        yield _tensorflow()


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing
        return False


def _keras2_fits() -> Iterator[Finding]:
    ours, theirs = installed("tf_keras"), installed("tensorflow")
    if ours and theirs and ours.split(".")[:2] != theirs.split(".")[:2]:
        minor = ".".join(theirs.split(".")[:2])
        yield Finding(
            AREA, "keras2", "problem", f"tf_keras {ours} is not compatible with tensorflow {theirs}",
            f"pip install 'tf_keras=={minor}.*'",
        )  # fmt: skip


def _native() -> Finding:
    done = _run(_NATIVE)
    if done.returncode:
        return Finding(AREA, "native front", "problem", _last_line(done.stderr), "Reinstall tfx-export.")
    if reason := done.stdout.strip():
        return Finding(AREA, "native front", "missing", reason, "The python front is used instead.")
    return Finding(AREA, "native front", "ok", f"Envoy through pyvoy {installed('pyvoy')}")


def _tensorflow() -> Finding:
    done = _run(_TENSORFLOW)
    if done.returncode == 0:
        return Finding(AREA, "TensorFlow", "ok", done.stdout.strip())
    reason = _last_line(done.stderr) or f"its process ended with exit code {done.returncode}"
    return Finding(AREA, "TensorFlow", "problem", reason, "pip install --force-reinstall tensorflow")


def _run(program: str) -> "subprocess.CompletedProcess[str]":
    command = safe_python(program)
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no result within {SECONDS} s")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
