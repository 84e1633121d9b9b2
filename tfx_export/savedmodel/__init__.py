"""SavedModels without TensorFlow: read, compare, scan and edit them, and manage the version folders of a model."""
