"""Trains a wide and deep Keras model on generated customers: who buys (Classify), and for how much (Regress).

    python train.py FOLDER

Writes FOLDER/customers.keras and FOLDER/answers.txt (the labels of the classifier).
"""

import sys
from pathlib import Path

from tfx_export.tensorflow_import import import_tensorflow

import_tensorflow()  # hides the messages that TensorFlow prints at import

import keras
import numpy as np
import tensorflow as tf
from keras import layers

JOBS = ["teacher", "nurse", "engineer", "farmer", "retired"]
AGES = [18.0, 25.0, 35.0, 50.0, 65.0]  # boundaries of the buckets


def customers(number: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(4)
    age, income = rng.uniform(16, 80, number), rng.lognormal(3.5, 0.5, number)
    job = rng.integers(len(JOBS), size=number)
    wish = 0.03 * income + 0.8 * (job == 2) - 0.9 * (job == 4) - 0.0015 * (age - 40) ** 2
    features = {
        "age": age.astype(np.float32)[:, None],
        "income": income.astype(np.float32)[:, None],
        "job": np.array([JOBS[index].encode() for index in job], object)[:, None],
    }
    return features, {"buys": (wish > 0.8).astype(np.int64), "amount": (wish * 10).astype(np.float32)[:, None]}


def model(features: dict[str, np.ndarray]) -> keras.Model:
    age, income = keras.Input((1,), name="age"), keras.Input((1,), name="income")
    job = keras.Input((1,), name="job", dtype="string")
    bucket = layers.Discretization(AGES, name="age_bucket")(age)
    jobs = layers.StringLookup(vocabulary=JOBS, name="job_number")(job)
    scaled = layers.Normalization(name="income_scaled")
    scaled.adapt(features["income"])
    wide = layers.Concatenate()(
        [
            layers.CategoryEncoding(len(AGES) + 1, name="age_wide")(bucket),
            layers.CategoryEncoding(len(JOBS) + 1, name="job_wide")(jobs),
        ]
    )
    embedded = layers.Flatten()(layers.Embedding(len(JOBS) + 1, 4)(jobs))
    deep = layers.Concatenate()(
        [scaled(income), embedded, layers.Flatten()(layers.Embedding(len(AGES) + 1, 4)(bucket))]
    )
    for units in (32, 16):
        deep = layers.Dense(units, activation="relu")(deep)
    both = layers.Concatenate()([wide, deep])
    buys = layers.Dense(2, activation="softmax", name="buys")(both)
    amount = layers.Dense(1, name="amount")(both)
    return keras.Model({"age": age, "income": income, "job": job}, {"buys": buys, "amount": amount})


def train(folder: Path) -> None:
    keras.utils.set_random_seed(4)
    features, answers = customers(4000)
    wide_deep = model(features)
    wide_deep.compile(
        "adam", {"buys": "sparse_categorical_crossentropy", "amount": "mse"}, metrics={"buys": "accuracy"}
    )
    tensors = {name: tf.constant(values) for name, values in features.items()}
    wide_deep.fit(tensors, answers, epochs=8, batch_size=64, verbose=0)
    accuracy = wide_deep.evaluate(tensors, answers, verbose=0, return_dict=True)["buys_accuracy"]
    print(f"trained on {len(answers['buys'])} customers: accuracy {accuracy:.1%}")
    wide_deep.save(folder / "customers.keras")
    (folder / "answers.txt").write_text("stays away\nbuys\n")


if __name__ == "__main__":
    train(Path(sys.argv[1]).resolve())
