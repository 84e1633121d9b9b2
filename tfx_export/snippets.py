"""Small programs that ask one signature of one model, rendered from templates/clients/ to be copied and run."""

from collections.abc import Callable
from string import Template

from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import Signature, TensorSpec
from tfx_export.templates import templates

REST = "http://localhost:8501"
GRPC = "localhost:8500"

_FILES = {path.stem: path for path in templates("clients").iterdir()}

# The languages there are, e.g. `python-grpc`.
LANGUAGES = tuple(sorted(_FILES))


def render(language: str, model: str, signature: Signature, *, rest: str = REST, grpc: str = GRPC) -> str:
    """The program in `language`, one of LANGUAGES, that asks `signature` of `model` with zeros.

    `rest`: URL of the REST port. `grpc`: target of the gRPC port. Dimensions that are free have the size 1.
    """
    return Template(_FILES[language].read_text()).substitute(
        model=model,
        signature=signature.name,
        rest=rest,
        grpc=grpc,
        python_inputs=_lines(signature, _python),
        numpy_inputs=_lines(signature, _numpy),
        javascript_inputs=_lines(signature, _javascript, indent="  "),
        go_inputs=_lines(signature, _go, indent="\t\t"),
    )


def _lines(signature: Signature, line: Callable[[TensorSpec], str], indent: str = "    ") -> str:
    return "\n".join(f'{indent}"{name}": {line(spec)},' for name, spec in signature.inputs.items())


def _shape(spec: TensorSpec) -> list[int]:
    """A shape that fits: free dimensions have the size 1, a free rank is taken as one dimension."""
    return [1] if spec.shape is None else [1 if size is None else size for size in spec.shape]


def _value(spec: TensorSpec, false: str) -> str:
    """Something to fill the tensor with. A fraction for floats: whole numbers would be sent as integers by some."""
    return {"O": '""', "b": false, "i": "0", "u": "0"}.get(numpy_dtype(spec.dtype).kind, "0.5")


def _python(spec: TensorSpec) -> str:
    return f"filled({_shape(spec)}, {_value(spec, 'False')})"


def _javascript(spec: TensorSpec) -> str:
    return f"filled({_shape(spec)}, {_value(spec, 'false')})"


def _go(spec: TensorSpec) -> str:
    return f"filled([]int{{{', '.join(map(str, _shape(spec)))}}}, {_value(spec, 'false')})"


def _numpy(spec: TensorSpec) -> str:
    dtype = numpy_dtype(spec.dtype)
    shape = tuple(_shape(spec))
    return f'np.full({shape}, b"", object)' if dtype.kind == "O" else f'np.zeros({shape}, "{dtype.name}")'
