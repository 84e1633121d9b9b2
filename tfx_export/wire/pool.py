"""The private descriptor pool.

`tensorflow-serving-api` and TensorFlow register the same symbols in protobuf's default pool; a second file under those
names raises TypeError there. A pool of our own keeps the real names and lives beside theirs in one process.
"""

from importlib.resources import files
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

# Classes made at run time have no static type; the alias says "a protobuf message" where Any would say nothing.
Message: TypeAlias = Any
MessageClass: TypeAlias = Any


def _load() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    descriptor_set = descriptor_pb2.FileDescriptorSet()
    descriptor_set.ParseFromString(files("tfx_export.wire").joinpath("protocol.binpb").read_bytes())
    for file in descriptor_set.file:
        pool.Add(file)
    return pool


POOL = _load()


def message_class(full_name: str) -> MessageClass:
    """The class of the message `full_name`, e.g. `tensorflow.serving.PredictRequest`. KeyError if there is none."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


def parse_text(cls: MessageClass, text: str | bytes) -> Message:
    """`text` in protobuf text format as a `cls`; `google.protobuf.text_format.ParseError` says line and column."""
    return text_format.Parse(text, cls(), descriptor_pool=POOL)
