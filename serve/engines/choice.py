"""Chooses the engine for each signature of a version. LiteRT runs only signatures that were proven equal at export."""

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from serve.config import Config
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel import export_record, reader

logger = logging.getLogger("serve")

# TensorFlow 2 writes this signature for its own use; clients do not call it.
_INIT_OP = "__saved_model_init_op"

# Engine -> the signatures it runs; None stands for all of them.
Assignment = Mapping[str, tuple[str, ...] | None]

TENSORFLOW: Assignment = {"tensorflow": None}
LITERT: Assignment = {"litert": None}


def assign(path: Path, config: Config) -> Assignment:
    """Returns the engines for the version folder `path`.

    With `auto`, LiteRT runs the signatures for which exactly this `model.tflite` was verified at export, and TensorFlow
    runs the rest. LiteRT runs everything if the folder holds only `model.tflite`.
    """
    lite = (path / export_record.TFLITE).is_file()
    if config.engine != "auto":
        return {config.engine: None}
    if not lite:
        return TENSORFLOW
    if config.prefer_tflite_model or not reader.is_saved_model(path):
        return LITERT
    proven = export_record.proven_signatures(path)
    if not proven:
        logger.info("%s: %s is not proven equal to the SavedModel; TensorFlow runs it", path, export_record.TFLITE)
        return TENSORFLOW
    if find_spec("ai_edge_litert") is None:
        logger.info("%s: TensorFlow runs it; pip install 'tfx-export[litert]' for the accelerated model", path)
        return TENSORFLOW
    try:
        signatures = set(reader.read_signatures(path, config.saved_model_tags.split(","))) - {_INIT_OP}
    except SavedModelError:
        return TENSORFLOW  # whose loader reports the fault
    accelerated = tuple(sorted(signatures & set(proven)))
    if set(accelerated) == signatures:
        return LITERT
    return {"tensorflow": tuple(sorted(signatures - set(proven))), "litert": accelerated} if accelerated else TENSORFLOW
