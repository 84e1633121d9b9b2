"""Which versions of which models are in memory. Independent of TensorFlow and of the protocols."""
