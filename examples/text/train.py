"""Trains a text classifier with TextVectorization and an embedding; its input is strings.

    python train.py FOLDER

Writes FOLDER/mood.keras and FOLDER/moods.txt (its labels).
"""

import sys
from pathlib import Path

from tfx_export.tensorflow_import import import_tensorflow

import_tensorflow()  # hides the messages that TensorFlow prints at import

import keras
import numpy as np
import tensorflow as tf
from keras import layers

MOODS = {
    "sad": ["awful", "dull", "boring", "terrible", "slow", "weak", "poor", "sad"],
    "glad": ["great", "lovely", "bright", "wonderful", "quick", "strong", "fine", "happy"],
}
FILLERS = ["the", "film", "was", "and", "its", "story", "really", "very", "felt", "quite", "a", "plot", "with", "music"]


def sentences(number: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(6)
    labels = rng.integers(len(MOODS), size=number)
    words = list(MOODS.values())
    texts = []
    for label in labels:
        chosen = [*rng.choice(FILLERS, 6), *rng.choice(words[label], 2)]
        rng.shuffle(chosen)
        texts.append(" ".join(chosen))
    return texts, labels


def train(folder: Path) -> None:
    keras.utils.set_random_seed(6)
    texts, labels = sentences(2000)
    vectorize = layers.TextVectorization(output_sequence_length=12, name="words")
    vectorize.adapt(texts)
    text = keras.Input((1,), dtype="string", name="text")
    hidden = layers.Embedding(vectorize.vocabulary_size(), 8, mask_zero=True)(vectorize(text))
    scores = layers.Dense(len(MOODS), activation="softmax", name="scores")(layers.GlobalAveragePooling1D()(hidden))
    mood = keras.Model(text, scores)
    mood.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    inputs = tf.constant(texts)[:, None]
    mood.fit(inputs, labels, epochs=8, batch_size=32, verbose=0)
    print(f"trained on {len(texts)} sentences: accuracy {mood.evaluate(inputs, labels, verbose=0)[1]:.1%}")
    mood.save(folder / "mood.keras")
    (folder / "moods.txt").write_text("".join(f"{name}\n" for name in MOODS))


if __name__ == "__main__":
    train(Path(sys.argv[1]).resolve())
