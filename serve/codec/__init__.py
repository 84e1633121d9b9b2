"""Between bytes on the wire and numpy arrays: TensorProto, JSON, tf.Example. Knows no protocol and no model."""
