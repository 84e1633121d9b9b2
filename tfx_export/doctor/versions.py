"""Checks the installed versions and the processor."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import psutil

from tfx_export.doctor.finding import Finding

VERSIONS = "Versions"
PROCESSOR = "Processor"

PACKAGES = ("tensorflow", "keras", "numpy", "protobuf", "grpcio", "ml-dtypes")
# These packages overwrite files of the tensorflow package.
CONFLICTING = (
    "tensorflow-cpu",
    "tensorflow-intel",
    "tensorflow-rocm",
    "tf-nightly",
    "tensorflow-macos",
    "intel-tensorflow",
)
# Instruction sets that kernels of TensorFlow and LiteRT use, as /proc/cpuinfo spells them.
X86_FEATURES = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
ARM_FEATURES = ("asimd", "asimdhp", "asimddp", "sve", "bf16", "i8mm")


def installed(name: str) -> str | None:
    """Returns the version of a distribution, or None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def findings() -> Iterator[Finding]:
    """Yields Python and the required packages."""
    yield Finding(VERSIONS, "tfx-export", "ok", installed("tfx-export") or "not installed as a package")
    yield Finding(VERSIONS, "python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in PACKAGES:
        found = installed(name)
        if found is None:
            yield Finding(VERSIONS, name, "problem", "not installed", f"pip install {name}")
        elif name == "keras" and found.startswith("2."):
            yield Finding(
                VERSIONS, name, "problem", f"{found} is Keras 2", "pip install 'keras>=3' 'tfx-export[keras2]'"
            )
        else:
            yield from _one_copy(name, found)
    for name in CONFLICTING:
        if (found := installed(name)) and installed("tensorflow"):
            yield Finding(
                VERSIONS,
                name,
                "problem",
                f"{found} is installed in addition to tensorflow; each overwrites files of the other",
                f"pip uninstall -y {name} tensorflow && pip install tensorflow",
            )


def processor() -> Iterator[Finding]:
    """Yields cores, memory, and the instruction sets that fast kernels need."""
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else cores
    text = f"{cores}" if usable == cores else f"{cores}, this process may use {usable}"
    yield Finding(PROCESSOR, "cores", "ok", text)
    memory = psutil.virtual_memory()
    low = memory.available < 1 << 30
    yield Finding(
        PROCESSOR,
        "memory",
        "note" if low else "ok",
        f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free",
        "An export with verification needs memory for three copies of the model." if low else "",
    )
    features = cpu_features(Path("/proc/cpuinfo"))
    if features is None:
        yield Finding(PROCESSOR, "instructions", "ok", platform.processor() or platform.machine())
    elif platform.machine() in ("x86_64", "AMD64") and "avx" not in features:
        yield Finding(
            PROCESSOR, "instructions", "problem", "no AVX: TensorFlow's wheels crash with Illegal instruction",
            "Use another machine, or build TensorFlow for this one.",
        )  # fmt: skip
    else:
        yield Finding(
            PROCESSOR, "instructions", "ok", ", ".join(features) or "no vector instructions that TensorFlow uses"
        )


def cpu_features(cpuinfo: Path) -> list[str] | None:
    """Returns the known features of the first processor in `cpuinfo`, or None if there is no such file."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "").partition(":")[2].split()
    return [feature for feature in (*X86_FEATURES, *ARM_FEATURES) if feature in flags]


def _one_copy(name: str, found: str) -> Iterator[Finding]:
    """Checks that a package is installed once: with several copies, the order of the path decides which is imported."""
    copies = {(each.version, str(each.locate_file(""))) for each in distributions(name=name)}
    if len(copies) < 2:
        yield Finding(VERSIONS, name, "ok", found)
        return
    where = "; ".join(f"{number} in {place}" for number, place in sorted(copies))
    yield Finding(
        VERSIONS,
        name,
        "problem",
        f"{len(copies)} copies: {where}",
        f"Run pip uninstall {name} until no copy is left, then install it again.",
    )
