"""The program of the child process: prepares one version. Reads its request, a line of JSON, from stdin.

It tells its progress on stdout, a line of JSON for each stage. The end of stdin tells that the parent has ended: then
this process ends too.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from serve.config import Config
from serve.engines.preparation import Outcome, contents
from serve.engines.preparation.cache import DETAILS, Entry
from serve.engines.tensorflow_setup import tensorflow_engine
from serve.errors import ServeError
from tfx_export.savedmodel.signature import Signature

_PR_SET_PDEATHSIG = 1
# The highest score of processes to kill.
_MOST_DISPENSABLE = "1000"

Report = Callable[..., None]


def main() -> None:
    """Runs the program."""
    report = _reporter()
    _end_with_parent()
    _make_dispensable()
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_watch_parent, args=(sys.stdin.buffer,), daemon=True).start()
    config = _config(request["config"])
    try:
        if request["as_it_is"]:
            _try_as_it_is(Path(request["path"]), config, report)
        else:
            _prepare(Path(request["path"]), config, Path(request["folder"]), request["max_bytes"], report)
    except ServeError as error:
        report(code=int(error.code), message=error.message)
    else:
        report(done=True)
    # Without the destructors of TensorFlow: the work is done.
    sys.stderr.flush()
    os._exit(0)


def _config(settings: dict[str, Any]) -> Config:
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()}
    return Config(**values)


def _prepare(path: Path, config: Config, folder: Path, max_bytes: int, report: Report) -> None:
    engine = tensorflow_engine()
    from serve.engines import tensorflow_sessions, tensorflow_settings, tensorflow_weights
    from serve.engines.preparation import freezing, mapping
    from serve.engines.tensorflow_errors import loading_errors
    from serve.engines.tensorflow_graph import shape_graph

    report(stage="loading")
    with loading_errors():
        tensorflow_settings.check_settings(config)
        session_config = tensorflow_settings.session_config(config)
        # The session's own optimiser would transform the whole graph for each group of variables that is read.
        plain = tensorflow_weights.without_optimiser(session_config)
        session, meta_graph = tensorflow_sessions.open_saved_model(path, config, plain, guarded=False)
    report(stage="preparing")
    try:
        frozen = freezing.freeze(session, meta_graph, path, session_config, max_bytes)
        graph_def, weights = frozen.graph_def, list[tensorflow_weights.MappedWeight]()
        if not frozen.reason:
            graph_def, weights = mapping.map_weights(session, frozen, folder, max_bytes)
            graph_def = tensorflow_sessions.guarded(graph_def)
        contents.write(
            folder,
            contents.Contents(
                signatures=tensorflow_sessions.signatures_only(meta_graph).SerializeToString(),
                graph=(shape_graph(graph_def) if frozen.reason else graph_def).SerializeToString(),
                init_ops=frozen.init_ops,
                reason=frozen.reason,
                weights=[asdict(weight) for weight in weights],
            ),
        )
    except Exception as error:  # any exception: the SavedModel is served as it is
        # A full disk, or too little memory, need not be so the next time.
        repeats = not isinstance(error, OSError | MemoryError)
        report(failed=f"failed: {type(error).__name__}: {str(error)[:500]}", repeats=repeats)
        os._exit(1)
    report(stage="trying")
    with contextlib.suppress(Exception):  # the server reports it
        session.close()
        del session  # and the variables
        prepared = Outcome(Entry(folder, json.loads((folder / DETAILS).read_bytes())))
        engine.TensorFlowModel(path, config, prepared).try_out(lambda *_: False)


def _try_as_it_is(path: Path, config: Config, report: Report) -> None:
    """Does what the server would do with a version that cannot be prepared.

    Signatures that change a variable, or anything outside, do not run.
    """
    engine = tensorflow_engine()
    from serve.engines.preparation import freezing
    from serve.engines.tensorflow_errors import loading_errors
    from serve.engines.tensorflow_settings import check_settings

    report(stage="loading")
    with loading_errors():
        check_settings(config)
        model = engine.TensorFlowModel(path, config, Outcome(None))

    def is_pure(signature: Signature, graph: Any) -> bool:
        outputs = [spec.tensor.partition(":")[0] for spec in signature.outputs.values()]
        return freezing.why_not_frozen(graph.as_graph_def(), outputs, ()) is None

    report(stage="trying")
    model.try_out(is_pure)


def _reporter() -> Report:
    """Takes stdout for the reports: what the model or a custom operator prints goes to stderr."""
    stream = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return lambda **message: _send(stream, message)


def _send(stream: IO[bytes], message: dict[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")


def _end_with_parent() -> None:
    """On Linux the kernel kills this process when its parent ends, whatever it is doing at that time."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch_parent(stream: IO[bytes]) -> None:
    stream.read()
    os._exit(1)


def _make_dispensable() -> None:
    """Linux kills this process, not the server, when memory runs out."""
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text(_MOST_DISPENSABLE)


if __name__ == "__main__":
    main()
