"""A written model, loaded and ready to run: by the Session loader, or by LiteRT without TensorFlow."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from tfx_export.exporting.verification.isolated_run import Arrays
from tfx_export.savedmodel.export_record import TFLITE
from tfx_export.savedmodel.graph_effects import find_effects
from tfx_export.tensorflow_import import import_tensorflow


class SessionModel:
    """The SavedModel in `folder`, loaded as TensorFlow Serving does. As a context manager it closes the session.

    Each run finds the variables as they were loaded, even if the one before assigned some.
    """

    def __init__(self, folder: Path, tags: Sequence[str]) -> None:
        import_tensorflow()
        import tensorflow as tf

        from tfx_export.exporting.source_graph import VARIABLES, KeptVariables, is_seed, new_session

        graph = tf.Graph()
        self._session = new_session(graph)
        with graph.as_default():
            meta_graph = tf.compat.v1.saved_model.loader.load(self._session, list(tags), str(folder))
            self._signatures = meta_graph.signature_def
            outputs = [info.name for one in self._signatures.values() for info in one.outputs.values()]
            effects = find_effects(meta_graph.graph_def, outputs)
            variables = {one.name: one for one in graph.get_operations() if one.type in VARIABLES}
            assigned = [variables[name] for name in effects.assigned if name in variables]
            self._kept = KeptVariables(self._session, [one for one in assigned if not is_seed(one, effects)])
        half = {tf.float16, tf.bfloat16}
        # Whether any op of the graph computes or stores 16-bit floats.
        self.low_precision = any(out.dtype.base_dtype in half for op in graph.get_operations() for out in op.outputs)

    def run(self, name: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Returns the outputs of the signature `name`. Raises ValueError for unknown inputs, or TensorFlow's errors."""
        signature = self._signatures.get(name)
        if signature is None or set(inputs) - set(signature.inputs):
            raise ValueError(f"no signature {name!r} with inputs {', '.join(sorted(inputs))}")
        feeds = {signature.inputs[alias].name: array for alias, array in inputs.items()}
        with self._kept.unchanged():
            fetched = self._session.run({alias: info.name for alias, info in signature.outputs.items()}, feeds)
        return {alias: np.asarray(value) for alias, value in fetched.items()}

    def __enter__(self) -> "SessionModel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()


def load_lite_model(folder: Path) -> Callable[[str, Arrays], dict[str, np.ndarray]]:
    """Loads the `model.tflite` in `folder`; returns a function like `SessionModel.run`."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(folder / TFLITE))

    def run(name: str, inputs: Arrays) -> dict[str, np.ndarray]:
        outputs: dict[str, np.ndarray] = interpreter.get_signature_runner(name)(**inputs)
        return outputs

    return run
