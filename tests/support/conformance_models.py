"""Writes the models of the conformance tests below argv[1]. A separate program, because it imports TensorFlow."""

import sys
from pathlib import Path

from tests.support import echo_models, rated_models

if __name__ == "__main__":
    echo_models.write(Path(sys.argv[1]))
    rated_models.write(Path(sys.argv[1]))
