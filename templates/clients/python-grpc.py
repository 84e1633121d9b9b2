# $title, over gRPC: pip install tfx-export
${imports}from tfx_export.client import Client, Model

$noun = {
$grpc_values
}
with Client("$grpc") as client:
    print(client.$verb(Model($model, signature=$signature), $request))
