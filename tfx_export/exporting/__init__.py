"""Everything that turns a source into a SavedModel. The only part of the toolkit that imports TensorFlow.

Read `pipeline.py` first: it tells the story of an export. `graph.py` holds what every source becomes.
"""

import os

# Read by TensorFlow and Keras when they are imported, which modules below this package do.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
