"""A SavedModel with a large embedding table: rows of the table, by their ids, times a small matrix.

As a program it writes the model with ROWS rows, 256 bytes each, to FOLDER. It needs twice their size in memory.

    python -m tests.benchmark.embedding_table FOLDER ROWS
"""

import sys
from typing import Any

import numpy as np

from tfx_export.tensorflow_import import import_tensorflow

COLUMNS = 64
SCORES = 8
ROW_BYTES = 4 * COLUMNS
# The table repeats after this many values, which is not a multiple of a row.
PRIME = 65521
# The rows that are written to the table at once.
BLOCK = 1 << 18


def table_rows(ids: np.ndarray) -> np.ndarray:
    """Returns the rows of the table with these ids, as `[len(ids), COLUMNS]`."""
    numbers = (ids[:, np.newaxis] * COLUMNS + np.arange(COLUMNS)) % PRIME
    rows: np.ndarray = numbers.astype(np.float32) / np.float32(PRIME)
    return rows


def expected_scores(ids: np.ndarray) -> np.ndarray:
    """Returns the right answer, as `[len(ids), SCORES]`."""
    scores: np.ndarray = table_rows(ids) @ _matrix()
    return scores


def _matrix() -> np.ndarray:
    return np.random.default_rng(1).random((COLUMNS, SCORES), np.float32)


def main(folder: str, rows: str) -> None:
    import_tensorflow()
    import tensorflow as tf

    module = tf.Module()
    module.table = tf.Variable(tf.zeros((int(rows), COLUMNS)))
    module.matrix = tf.Variable(_matrix())
    for start in range(0, int(rows), BLOCK):
        end = min(start + BLOCK, int(rows))
        module.table[start:end].assign(table_rows(np.arange(start, end)))

    def scores(ids: Any) -> dict[str, Any]:
        return {"scores": tf.gather(module.table, ids) @ module.matrix}

    module.scores = tf.function(scores, input_signature=[tf.TensorSpec([None], tf.int64, "ids")])
    tf.saved_model.save(module, folder, signatures=module.scores)


if __name__ == "__main__":
    main(*sys.argv[1:])
