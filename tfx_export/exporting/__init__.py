"""Exports a source (Keras, a TF1 session, a SavedModel, a function) as a SavedModel.

Read `pipeline.py` first: it lists the steps of an export. `source_graph.py` holds the form of every opened source.
"""

import os

# TensorFlow and Keras read these when modules of this package import them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
