"""A program: compiles triple_op.cc to argv[1]/triple.so and writes a model that uses it, argv[1]/triple/1."""

import subprocess
import sys
from pathlib import Path

from tests.support.lean_tensorflow import tf
from tests.support.served_models import session_model

SOURCE = Path(__file__).with_name("triple_op.cc")


def main(folder: Path) -> None:
    library = folder / "triple.so"
    # TensorFlow's headers cause warnings.
    quick = ["g++", "-shared", "-fPIC", "-O0", "-w"]
    flags = tf.sysconfig.get_compile_flags(), tf.sysconfig.get_link_flags()
    subprocess.run([*quick, *flags[0], str(SOURCE), "-o", str(library), *flags[1]], check=True)
    triple = tf.load_op_library(str(library)).triple
    with tf.compat.v1.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        session_model(folder / "triple" / "1", {"x": x}, {"y": triple(x)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
