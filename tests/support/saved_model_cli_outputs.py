"""Runs TensorFlow's own saved_model_cli for the command lines in argv[1], a JSON list of argument lists.

Prints a JSON list of the standard outputs. TensorFlow is imported once; each command runs in a fork, so that its
counters are those of a fresh process.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

from absl import app
from tensorflow.python.tools import saved_model_cli


def run(arguments: list[str]) -> str:
    with tempfile.NamedTemporaryFile() as output:
        child = os.fork()
        if child == 0:
            stdout = io.StringIO()
            sys.argv = ["saved_model_cli", *arguments]
            with contextlib.suppress(SystemExit), contextlib.redirect_stdout(stdout):
                saved_model_cli.main()
            Path(output.name).write_text(stdout.getvalue())
            os._exit(0)
        os.waitpid(child, 0)
        return Path(output.name).read_text()


if __name__ == "__main__":
    assert app is not None
    json.dump([run(arguments) for arguments in json.loads(sys.argv[1])], sys.stdout)
