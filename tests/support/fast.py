"""Finds the fast tests: those that start no process and no browser, and export nothing with TensorFlow.

A test is slow if its code, its fixtures, or a helper that these call, names one of `SLOW_MODULES` or something from
one of them. New tests need no mark. Models of `built` are kept between runs, and the in-memory server is not a process.
"""

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from inspect import unwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

SLOW_MODULES = (
    *("subprocess", "multiprocessing", "playwright", "ray"),
    *("tensorflow", "keras", "tf_keras", "tests.support.lean_tensorflow", "tests.support.keras_models"),
    "tests.support.terminal",
    *("serve.fronts.native.envoy", "tfx_export.exporting", "tfx_export.api", "tfx_export.load", "tfx_export.doctor"),
    *("tfx_export.tuning.server", "tfx_export.cli.main", "serve.engines.load", "serve.engines.preparation"),
)
# Exceptions: the tests use these names for nothing slow.
FAST_NAMES = (
    "tfx_export.exporting.spec",
    "tfx_export.exporting.verification.compare",
    "tfx_export.exporting.verification.probes",
    "tests.support.built_models.build",
    "tests.support.three_signatures.answer",
    "tests.serve.codec.test_tensor.tensorflow_reads",
)


def is_fast(item: pytest.Item) -> bool:
    """Whether `item` belongs to `make test-fast`."""
    if not isinstance(item, pytest.Function):
        return True
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if parameters.get("transport", "memory") != "memory" or "front" in item.fixturenames:
        return False
    fixtures = item._fixtureinfo.name2fixturedefs
    functions = [item.function, *(each.func for definitions in fixtures.values() for each in definitions)]
    return not any(_is_slow(function) for function in functions)


class ProcessGuard:
    """While `test` is set, the start of a process raises AssertionError with its name."""

    def __init__(self) -> None:
        self.test: str | None = None
        sys.addaudithook(self._check)  # stays until the interpreter ends

    def _check(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and "serve.engines.preparation.worker" in arguments[1]:
            return  # Prepared versions are kept between runs, as the models are.
        if self.test and event in ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.system"):
            if arguments[:1] == ("uname",):  # the first import of h5py, through Python's platform module
                return
            raise AssertionError(f"{self.test} starts a process: name what does so in SLOW_MODULES of {__file__}")


@cache
def _is_slow(function: FunctionType) -> bool:
    found = {function}
    waiting = [function]
    while waiting:
        for value in _named(waiting.pop()):
            if _is_from(value, FAST_NAMES):
                continue
            if _is_from(value, SLOW_MODULES):
                return True
            for helper in _functions(value):
                if helper not in found and helper.__module__.startswith("tests."):
                    found.add(helper)
                    waiting.append(helper)
    return False


def _named(function: FunctionType) -> Iterator[Any]:
    """Yields everything that the code of a function names: values of its module, and names of modules it imports."""
    function = unwrap(function)
    closure = [cell.cell_contents for cell in function.__closure__ or ()]
    yield from closure
    for name in _names(function.__code__):
        yield function.__globals__.get(name, name)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_from(value: Any, modules: Iterable[str]) -> bool:
    if isinstance(value, str):
        name = value
    elif isinstance(value, ModuleType):
        name = value.__name__
    else:
        name = f"{getattr(value, '__module__', '')}.{getattr(value, '__name__', '')}"
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yields the functions that a call of `value` may run: itself, or the methods of a class."""
    value = unwrap(value) if callable(value) else value
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, type):
        yield from (each for each in vars(value).values() if isinstance(each, FunctionType))
