"""Which versions of which models are in memory. Knows no TensorFlow, no protocol."""
