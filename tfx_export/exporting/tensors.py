"""numpy arrays as TensorProtos of the wire package and back. Strings are arrays of `object` holding bytes."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfx_export import wire

Arrays = Mapping[str, np.ndarray]


def to_proto(array: np.ndarray) -> wire.Message:
    """`array` as a TensorProto; numpy's text becomes UTF-8."""
    return wire.TensorProto.FromString(tf.make_tensor_proto(array).SerializeToString())


def from_proto(proto: wire.Message) -> np.ndarray:
    """The array in a TensorProto, whichever of its fields holds the values. Raises ValueError for a broken one."""
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    array: np.ndarray = tf.make_ndarray(TensorProto.FromString(proto.SerializeToString()))
    return array


def predict_request(signature: str, inputs: Arrays, model: str = "") -> wire.Message:
    """`inputs` by alias as a PredictRequest."""
    request = wire.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(to_proto(array))
    return request
