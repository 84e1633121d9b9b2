"""Converts between bytes and numpy arrays: TensorProto, JSON, tf.Example and npy. Depends on no protocol or model."""
