"""Proof that the written SavedModel computes the outputs of its source, and runs of it in a separate process."""
