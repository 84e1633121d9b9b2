"""Opens a Python function as a source: a tf.function, a tf.Module, or any callable with specs of its inputs."""

import inspect
import re
import textwrap
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.source_graph import Arrays, GraphInput, SourceGraph
from tfx_export.exporting.sources.flat_names import Nest, composite_names, flat_names
from tfx_export.exporting.sources.lift_function import lift
from tfx_export.exporting.user_code import describe, is_signal

_MAX_REASON_LENGTH = 400  # characters
_SIGNATURE_HINT = (
    "Decorate it with tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32, name='images')])"
)


def open_function(
    target: object, *, inputs: Mapping[str, Nest] | None = None, description: str = "function"
) -> SourceGraph:
    """Opens `target`: a tf.function, a tf.Module with `__call__`, or a callable.

    `inputs` describes the arguments of a function without an input_signature: by argument name an object with a dtype
    and a shape, or a nest of such objects. Raises SourceError if `target` cannot be called, SpecError if its inputs
    are unknown or do not fit.
    """
    concrete = _concrete(target, inputs, description)
    lifted = lift(concrete)
    names = _input_names(concrete)
    outputs = flat_names(concrete.structured_outputs)
    if repeated := sorted(name for name in set(outputs) if outputs.count(name) > 1):
        raise SpecError(
            f"{description} returns two outputs that would be named {repeated[0]!r}.",
            hint="Tensors in nested dicts and lists are named after their keys and positions: give one another key.",
        )

    def reference(arrays: Arrays) -> Arrays:
        feeds = [tf.constant(arrays[name], tensor.dtype) for name, tensor in zip(names, concrete.inputs, strict=False)]
        flat = tf.nest.flatten(concrete._call_flat(feeds, concrete.captured_inputs), expand_composites=True)
        values = [value.numpy() for value in flat if value is not None]
        return dict(zip(outputs, values, strict=True))

    return SourceGraph(
        session=lifted.session,
        body=lifted.body,
        inputs={
            name: GraphInput(tensor.name, tensor.dtype, tensor.shape)
            for name, tensor in zip(names, concrete.inputs, strict=False)
        },
        outputs=dict(zip(outputs, concrete.outputs, strict=True)),
        state=lifted.state,
        reference=lifted.keep_state(reference),
        description=description,
        notes=_none_notes(concrete.structured_outputs),
    )


def _none_notes(structure: object) -> tuple[str, ...]:
    """Returns a note about the outputs that are None."""
    missing = (
        sorted(str(key) for key, value in structure.items() if value is None) if isinstance(structure, dict) else []
    )
    return (f"The function returns None for {', '.join(missing)}: left out.",) if missing else ()


def _concrete(
    target: object, inputs: Mapping[str, Nest] | None, description: str
) -> "tf.types.experimental.ConcreteFunction":
    if not callable(target):
        functions = [name for name in dir(target) if hasattr(getattr(target, name, None), "get_concrete_function")]
        raise SourceError(
            f"{type(target).__name__} cannot be called: it has no __call__.",
            hint=f"Name one of its functions: {', '.join(functions)} (MODULE:ATTRIBUTE.{functions[0]})"
            if functions
            else "Name a tf.function, a tf.Module with __call__, or a function.",
        )
    call = target.__call__ if isinstance(target, tf.Module) else target
    if not hasattr(call, "get_concrete_function"):
        call = tf.function(call, autograph=False)
    try:
        if inputs is None:
            return call.get_concrete_function()
        return call.get_concrete_function(**{name: _spec(name, one) for name, one in inputs.items()})
    except BaseException as error:  # the function may raise anything
        if is_signal(error):
            raise
        raise _refusal(error, call, description) from error


def _refusal(error: BaseException, call: object, description: str) -> SourceError | SpecError:
    """Returns the error to raise if TensorFlow cannot trace the function `call`."""
    if raised := _raised_inside(error, call):
        return SourceError(
            f"{description} raised {raised}.", hint="It was called once, to trace it, with tensors that have no values."
        )
    reason = str(error).strip().partition("\n")[0]
    if returned := re.search(r"must return zero or more Tensors.* of type (\w+)", reason):
        return SourceError(
            f"{description} returns an object of type {returned[1]}, which is not a tensor.",
            hint="Return a tensor, or a dict of tensors: return {'scores': scores}",
        )
    return SpecError(
        f"The inputs of the function are unknown or do not fit: {reason}",
        hint=f"{_SIGNATURE_HINT}, or describe the inputs here: --input images=float32[?,784]",
    )


def _raised_inside(error: BaseException, call: object) -> str:
    """Returns what the function itself raised, with its place, as `ValueError: no (model.py, line 8)`; else ""."""
    function: Any = getattr(call, "python_function", call)
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    entered = any(frame.f_code is code for frame, _ in traceback.walk_tb(error.__traceback__))
    text = str(error).strip()
    if text.startswith("in user code:"):  # autograph runs a copy of the function, and adds its places to the text
        places = [(file, int(line)) for file, line in re.findall(r'File "([^"]+)", line (\d+), in', text)]
        text = text.rpartition("\n\n")[2]
    elif entered:
        frames = traceback.extract_tb(error.__traceback__)
        places = [(frame.filename, frame.lineno or 0) for frame in frames if not _is_library(frame.filename)]
        text = describe(error)
    else:
        return ""
    where = f" ({Path(places[-1][0]).name}, line {places[-1][1]})" if places else ""
    return textwrap.shorten(text.rstrip("."), _MAX_REASON_LENGTH) + where


def _is_library(file: str) -> bool:
    return Path(tf.__file__).parent in Path(file).parents


def _spec(name: str, one: Nest) -> Nest:
    """Returns the spec with which an argument is traced; the tensors of a nest are named by their keys and indices."""
    if isinstance(one, Mapping):
        return {key: _spec(f"{name}_{key}", item) for key, item in one.items()}
    if isinstance(one, list | tuple):
        return [_spec(f"{name}_{place}", item) for place, item in enumerate(one)]
    if isinstance(one, tf.TypeSpec) and not isinstance(one, tf.TensorSpec):
        return one
    return tf.TensorSpec(one.shape, one.dtype, name)


def _input_names(concrete: "tf.types.experimental.ConcreteFunction") -> list[str]:
    """Returns the names of the flat inputs: those of the arguments, or `x_1` and so on for a nested argument."""
    tensors = iter(concrete.inputs[: len(concrete.inputs) - len(concrete.captured_inputs)])
    names: list[str] = []
    for leaf in tf.nest.flatten(concrete.structured_input_signature):
        if isinstance(leaf, tf.TypeSpec):  # a Python value has no tensor
            parts = [next(tensors) for _ in tf.nest.flatten(leaf, expand_composites=True)]
            names += composite_names(parts[0].name.partition(":")[0], leaf)
    return names
