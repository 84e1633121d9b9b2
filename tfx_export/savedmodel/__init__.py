"""What a SavedModel is, without TensorFlow: signatures, the file they stand in, version folders."""
