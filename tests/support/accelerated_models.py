"""Writes the model of three_signatures.py below argv[1]: `classifier/1`, and `accelerated/1` with a model.tflite.

The model.tflite is proven for `serving_default` only. A separate program, because it imports TensorFlow.
"""

import shutil
import sys
from functools import partial
from pathlib import Path

from tests.support import three_signatures
from tfx_export.exporting.job import Extras
from tfx_export.exporting.pipeline import complete_version


def main(folder: Path) -> None:
    classifier, accelerated = folder / "classifier" / "1", folder / "accelerated" / "1"
    three_signatures.write(classifier, three_signatures.weights())
    shutil.copytree(classifier, accelerated)
    source = partial(three_signatures.answer, three_signatures.weights())
    extras = Extras(verify=False, accelerate="float32")
    complete_version(accelerated, extras, source, tags=["serve"], source=None, spec={}, report=lambda step: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
