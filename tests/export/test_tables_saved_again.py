"""Lookup tables of SavedModels that were loaded and saved again, in which functions create and fill them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.loaders import run_in_session, run_loaded
from tfx_export import export_savedmodel
from tfx_export.errors import SourceError
from tfx_export.exporting.job import Extras

UNVERIFIED = Extras(verify=False)
V1 = tf.compat.v1
CITIES = {"city": np.array([b"rome", b"lima", b"?"], object)}


def vocabulary_file(path: str) -> Any:
    index = tf.lookup.TextFileIndex
    return tf.lookup.TextFileInitializer(path, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER)


class Cities(tf.Module):  # type: ignore[misc]
    """One table filled from constants, two from a file, two by the program, and a lookup in a branch."""

    def __init__(self, vocabulary: Path) -> None:
        super().__init__()
        self.scores = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["rome", "oslo"], [1.0, 2.0]), -1.0)
        self.lines = tf.lookup.StaticHashTable(vocabulary_file(str(vocabulary)), -1)
        self.buckets = tf.lookup.StaticVocabularyTable(vocabulary_file(str(vocabulary)), 3)
        self.inserted = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -7)
        self.inserted.insert(tf.constant(["rome"]), tf.constant([70], tf.int64))
        self.dense = tf.lookup.experimental.DenseHashTable(tf.string, tf.int64, -9, "", "$")
        self.dense.insert(tf.constant(["lima"]), tf.constant([5], tf.int64))
        self.weight = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="city")])  # type: ignore[untyped-decorator]
    def look_up(self, city: Any) -> dict[str, Any]:
        score = tf.cond(tf.size(city) > 2, lambda: self.scores.lookup(city) * self.weight, lambda: tf.zeros([1]))
        return {
            "score": score,
            "line": self.lines.lookup(city),
            "bucket": self.buckets.lookup(city),
            "inserted": self.inserted.lookup(city),
            "dense": self.dense.lookup(city),
        }


def tf2_model(folder: Path, vocabulary: Path) -> None:
    model = Cities(vocabulary)
    tf.saved_model.save(model, str(folder), signatures=model.look_up)


def tf1_model(folder: Path, vocabulary: Path) -> None:
    with V1.Session(graph=tf.Graph()) as session:
        city = V1.placeholder(tf.string, [None], "city")
        asset = tf.constant(str(vocabulary))
        V1.add_to_collection(V1.GraphKeys.ASSET_FILEPATHS, asset)
        line = tf.lookup.StaticHashTable(vocabulary_file(asset), -1).lookup(city)
        weight = V1.get_variable("weight", initializer=3.0)
        session.run([V1.global_variables_initializer(), V1.tables_initializer()])
        outputs = {"line": line, "score": tf.cast(line, tf.float32) * weight}
        V1.saved_model.simple_save(
            session, str(folder), {"city": city}, outputs, legacy_init_op=V1.tables_initializer()
        )


EXPECTED: dict[Any, dict[str, list[float]]] = {
    tf2_model: {
        "score": [2, -2, -2],
        "line": [0, 2, -1],
        "bucket": [0, 2, 5],
        "inserted": [70, -7, -7],
        "dense": [-9, 5, -9],
    },
    tf1_model: {"line": [0, 2, -1], "score": [0, 6, -3]},
}


@pytest.mark.parametrize("build", EXPECTED)
def test_tables_are_exported_from_the_third_generation(tmp_path: Path, build: Any) -> None:
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("rome\noslo\nlima\n")
    build(tmp_path / "saved", vocabulary)
    for _ in range(2):
        loaded = tf.saved_model.load(str(tmp_path / "saved"))
        tf.saved_model.save(loaded, str(tmp_path / "again"), signatures=dict(loaded.signatures))
        shutil.rmtree(tmp_path / "saved")
        (tmp_path / "again").rename(tmp_path / "saved")
    vocabulary.unlink()
    exported = export_savedmodel(tmp_path / "saved", tmp_path / "served", extras=UNVERIFIED)
    shutil.rmtree(tmp_path / "saved")
    assert [asset.name for asset in (exported.path / "assets").iterdir()] == ["vocabulary.txt"]
    for run in (run_in_session, run_loaded):
        assert {name: value.tolist() for name, value in run(exported.path, CITIES).items()} == EXPECTED[build]


def test_a_table_inside_a_function_that_nothing_fills_is_refused_without_verification_too(tmp_path: Path) -> None:
    with V1.Session(graph=tf.Graph()) as session:
        city = V1.placeholder(tf.string, [None], "city")

        @tf.function  # type: ignore[untyped-decorator]
        def look_up(keys: Any) -> Any:
            table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.float32, shared_name="scores")
            return tf.raw_ops.LookupTableFindV2(table_handle=table, keys=keys, default_value=0.0)

        V1.saved_model.simple_save(session, str(tmp_path / "saved"), {"city": city}, {"score": look_up(city)})
    with pytest.raises(SourceError, match=r"lookup table 'scores', inside a function .* is empty"):
        export_savedmodel(tmp_path / "saved", tmp_path / "served", extras=UNVERIFIED)
    assert not list((tmp_path / "served").glob("[0-9]*"))
