"""Writes the model of the batching tests to model/1 below argv[1]. A program, because it needs TensorFlow.

serving_default   y = 2 * maximum of x's row, rows = size of the batch; x [-1, -1]
pick              price = [10, 20, 30][index], index [-1]; other indices are an error
total             total = sum of x, a scalar
pair              sum = a + b, both [-1]
"""

import sys
from typing import Any

from tests.support.lean_tensorflow import tf, tf1


def rows_of(tensor: Any) -> Any:
    """Returns the number of rows, once for each row."""
    size = tf.shape(tensor)[0]
    return tf.fill([size], size)


def main(folder: str) -> None:
    with tf1.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, None], "x")
        two = tf1.get_variable("two", initializer=2.0, use_resource=True)
        index = tf1.placeholder(tf.int32, [None], "index")
        a, b = (tf1.placeholder(tf.float32, [None], name) for name in "ab")
        signatures = {
            "serving_default": ({"x": x}, {"y": tf.reduce_max(x, axis=1) * two, "rows": rows_of(x)}),
            "pick": ({"index": index}, {"price": tf.gather(tf.constant([10.0, 20.0, 30.0]), index)}),
            "total": ({"x": x}, {"total": tf.reduce_sum(x)}),
            "pair": ({"a": a, "b": b}, {"sum": a + b}),
        }
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(f"{folder}/model/1")
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                name: tf1.saved_model.predict_signature_def(inputs, outputs)
                for name, (inputs, outputs) in signatures.items()
            },
        )
        builder.save()


if __name__ == "__main__":
    main(sys.argv[1])
