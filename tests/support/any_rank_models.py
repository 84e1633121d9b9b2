"""Writes a SavedModel whose signatures take and return tensors of any rank, below argv[1]: `any_rank/1`. A program.

There is one signature for each dtype. It returns its input x as `same`, and with the shape `dims` as `reshaped`.
"""

# TensorFlow has no types: its base classes and decorators are Any.
# mypy: disable-error-code="misc"

import sys
from pathlib import Path

from tests.support.lean_tensorflow import tf, tf1  # first, because it imports TensorFlow without Keras

# isort: split
from tfx_export.savedmodel.dtypes import dtype_number

DTYPES = (
    *("DT_BOOL", "DT_INT8", "DT_UINT8", "DT_INT16", "DT_UINT16", "DT_INT32", "DT_UINT32", "DT_INT64", "DT_UINT64"),
    *("DT_HALF", "DT_BFLOAT16", "DT_FLOAT", "DT_DOUBLE", "DT_COMPLEX64", "DT_COMPLEX128", "DT_STRING"),
)


def main(folder: Path) -> None:
    build_info, build_signature = tf1.saved_model.build_tensor_info, tf1.saved_model.build_signature_def
    with tf.Graph().as_default(), tf1.Session() as session:
        signatures = {}
        for dtype in DTYPES:
            x, dims = tf1.placeholder(dtype_number(dtype)), tf1.placeholder(tf.int32, [None])
            inputs = {"x": build_info(x), "dims": build_info(dims)}
            outputs = {"same": build_info(tf.identity(x)), "reshaped": build_info(tf.reshape(x, dims))}
            signatures[dtype] = build_signature(inputs, outputs, "tensorflow/serving/predict")
        builder = tf1.saved_model.Builder(str(folder / "any_rank" / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
