"""Small client programs for one signature of one model, rendered from templates/clients/, ready to copy and run.

Names come from the model. They are written as literals, so that they cannot become code.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from string import Template
from urllib.parse import quote

from tfx_export.sample_request import FilledTensor, SampleRequest
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.templates import templates

REST = "http://localhost:8501"
GRPC = "localhost:8500"

_FILES = {path.stem: path for path in templates("clients").iterdir()}

# The available languages, e.g. `python-grpc`.
LANGUAGES = tuple(sorted(_FILES))

_KEYS = {"predict": ("inputs", "outputs"), "classify": ("examples", "results"), "regress": ("examples", "results")}


def render(
    language: str, model: str, signature: str, sample: SampleRequest, *, rest: str = REST, grpc: str = GRPC
) -> str:
    """Returns a program in `language`, one of LANGUAGES, that sends `sample` to `signature` of `model`.

    `rest`: URL of the REST port. `grpc`: target of the gRPC port.
    """
    key, answer = _KEYS[sample.verb]
    predicts = sample.verb == "predict"
    return Template(_FILES[language].read_text()).substitute(
        # ASCII, because some other characters end a line and so the comment.
        title=f"{json.dumps(model)}, signature {json.dumps(signature)}",
        imports="import numpy as np\n\n" if predicts else "",
        url=f"{rest}/v1/models/{quote(model, safe='')}:{sample.verb}",
        grpc=grpc,
        model=_text(model),
        signature=_text(signature),
        verb=sample.verb,
        key=key,
        answer=answer,
        noun="inputs" if predicts else "example",
        request="inputs" if predicts else "[example]",
        go_request="inputs" if predicts else "[]any{example}",
        python_values=_lines(sample, _python, "#"),
        grpc_values=_lines(sample, _numpy if predicts else _features, "#"),
        javascript_values=_lines(sample, _javascript, "//", indent="  "),
        go_values=_lines(sample, _go, "//", indent="\t\t"),
    )


def _lines(sample: SampleRequest, literal: Callable[[FilledTensor], str], comment: str, indent: str = "    ") -> str:
    return "\n".join(
        f"{indent}{_text(name)}: {literal(value)}," + (f"  {comment} {value.note}" if value.note else "")
        for name, value in sample.values.items()
    )


def _text(text: str) -> str:
    """Returns a literal that is valid in all the languages."""
    return json.dumps(text, ensure_ascii=False)


def _scalar(value: FilledTensor, base64: str = '{{"b64": "{}"}}') -> str:
    """Returns a JSON literal, which is also valid in JavaScript and Go. `base64`: the form of bytes."""
    if isinstance(value.value, bytes):
        return base64.format(b64encode(value.value).decode())
    return json.dumps(value.value)


def _python(value: FilledTensor) -> str:
    scalar = repr(value.value) if isinstance(value.value, bool) else _scalar(value)
    return f"filled({list(value.shape)}, {scalar})"


def _javascript(value: FilledTensor) -> str:
    return f"filled({list(value.shape)}, {_scalar(value)})"


def _go(value: FilledTensor) -> str:
    scalar = _scalar(value, 'map[string]string{{"b64": "{}"}}')
    return f"filled([]int{{{', '.join(map(str, value.shape))}}}, {scalar})"


def _numpy(value: FilledTensor) -> str:
    dtype = numpy_dtype(value.dtype)
    content = value.value.encode() if isinstance(value.value, str) else value.value
    return f"np.full({value.shape}, {content!r}, {'object' if dtype.kind == 'O' else json.dumps(dtype.name)})"


def _features(value: FilledTensor) -> str:
    count = value.shape[0] if value.shape else 0
    return f"[{value.value!r}]" + (f" * {count}" if count > 1 else "") if count else repr(value.value)
