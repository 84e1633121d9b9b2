# $model, signature $signature, over gRPC: pip install tfx-export
import numpy as np

from tfx_export.client import Client, Model

inputs = {
$numpy_inputs
}
with Client("$grpc") as client:
    outputs = client.predict(Model("$model", signature="$signature"), inputs)
for name, value in outputs.items():
    print(name, value.dtype, value.shape)
    print(value)
