"""Which engine answers which signature of a version. LiteRT is trusted with what was proven at export, and no more."""

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from serve.config import Config
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel import export_record, reader

logger = logging.getLogger("serve")

# TensorFlow 2 writes it for its own use; no client calls it.
_INIT_OP = "__saved_model_init_op"

# Engine -> the signatures it answers; None stands for all it has.
Assignment = Mapping[str, tuple[str, ...] | None]

TENSORFLOW: Assignment = {"tensorflow": None}
LITERT: Assignment = {"litert": None}


def assign(path: Path, config: Config) -> Assignment:
    """The engines for the version folder `path`.

    `auto` gives LiteRT the signatures that `model.tflite` was verified for at export, byte for byte this file, and
    TensorFlow the rest; a folder with nothing but `model.tflite` leaves no choice.
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
        logger.info("%s: %s is not proven equal to the SavedModel; TensorFlow answers", path, export_record.TFLITE)
        return TENSORFLOW
    if find_spec("ai_edge_litert") is None:
        logger.info("%s: TensorFlow answers; pip install 'tfx-export[litert]' for the accelerated model", path)
        return TENSORFLOW
    try:
        signatures = set(reader.read_signatures(path, config.saved_model_tags.split(","))) - {_INIT_OP}
    except SavedModelError:
        return TENSORFLOW  # which says what is wrong with it
    accelerated = tuple(sorted(signatures & set(proven)))
    if set(accelerated) == signatures:
        return LITERT
    return {"tensorflow": tuple(sorted(signatures - set(proven))), "litert": accelerated} if accelerated else TENSORFLOW
