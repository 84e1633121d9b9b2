"""What is installed, and on what processor it runs."""

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
# They install files over TensorFlow's own.
RIVALS = ("tensorflow-cpu", "tensorflow-intel", "tensorflow-rocm", "tf-nightly", "tensorflow-macos", "intel-tensorflow")
# In the words of /proc/cpuinfo; what TensorFlow's and LiteRT's kernels are built for.
X86_FEATURES = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
ARM_FEATURES = ("asimd", "asimdhp", "asimddp", "sve", "bf16", "i8mm")


def installed(name: str) -> str | None:
    """The version of a distribution; None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def findings() -> Iterator[Finding]:
    """Python and the packages that are always needed."""
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
    for name in RIVALS:
        if (found := installed(name)) and installed("tensorflow"):
            yield Finding(
                VERSIONS,
                name,
                "problem",
                f"{found} beside tensorflow: each overwrites files of the other",
                f"pip uninstall -y {name} tensorflow && pip install tensorflow",
            )


def processor() -> Iterator[Finding]:
    """Cores, memory and the instructions that the quick kernels need."""
    cores = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else cores
    text = f"{cores}" if usable == cores else f"{cores}, of which this process may use {usable}"
    yield Finding(PROCESSOR, "cores", "ok", text)
    memory = psutil.virtual_memory()
    low = memory.available < 1 << 30
    yield Finding(
        PROCESSOR,
        "memory",
        "note" if low else "ok",
        f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free",
        "An export with verification holds a model three times." if low else "",
    )
    features = cpu_features(Path("/proc/cpuinfo"))
    if features is None:
        yield Finding(PROCESSOR, "instructions", "ok", platform.processor() or platform.machine())
    elif platform.machine() in ("x86_64", "AMD64") and "avx" not in features:
        yield Finding(
            PROCESSOR, "instructions", "problem", "no AVX: TensorFlow's wheels end with Illegal instruction",
            "Use another machine, or a TensorFlow built for this one.",
        )  # fmt: skip
    else:
        yield Finding(PROCESSOR, "instructions", "ok", ", ".join(features) or "none of the faster ones")


def cpu_features(cpuinfo: Path) -> list[str] | None:
    """Those of the known features that the first processor in `cpuinfo` has; None where there is no such file."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "").partition(":")[2].split()
    return [feature for feature in (*X86_FEATURES, *ARM_FEATURES) if feature in flags]


def _one_copy(name: str, found: str) -> Iterator[Finding]:
    """Two copies of a package on the path: which one is imported depends on who asks."""
    copies = {(each.version, str(each.locate_file(""))) for each in distributions(name=name)}
    if len(copies) < 2:
        yield Finding(VERSIONS, name, "ok", found)
        return
    where = "; ".join(f"{number} in {place}" for number, place in sorted(copies))
    yield Finding(VERSIONS, name, "problem", f"{len(copies)} copies: {where}", f"Uninstall {name} until none is left.")
