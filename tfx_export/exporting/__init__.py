"""Everything that turns a source into a SavedModel. The only part of the toolkit that imports TensorFlow."""
