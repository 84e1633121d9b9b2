"""The message classes, made at run time from the descriptors in the pool. messages.pyi, generated, has their types."""

from google.protobuf.message import Message

from tfx_export.wire.pool import message_class

_PACKAGES = ("tensorflow", "tensorflow.serving", "grpc.health.v1", "tfx_export")


def __getattr__(name: str) -> type[Message]:
    for package in _PACKAGES:
        try:
            return message_class(f"{package}.{name}")
        except KeyError:
            continue
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
