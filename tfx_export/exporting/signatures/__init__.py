"""Signatures: ops in the source's graph, between the client's tensors and those of the source.

`build_signature.py` puts a signature together of three parts. The inputs come from one of `tensor_inputs.py` (raw
tensors), `example_inputs.py` (serialized tf.Examples) and `image_inputs.py` (encoded images); each has a function
`build_inputs` that returns the placeholders for the client and the tensors that feed the source. Then the source is
called on these. `outputs.py` builds the client's outputs from the source's, by method: Predict, Classify or Regress.
"""
