"""The private descriptor pool.

`tensorflow-serving-api` and TensorFlow register the same symbols in protobuf's default pool; a second file with those
names raises TypeError there. A private pool keeps the real names and lives beside theirs in one process.
"""

from importlib.resources import files
from typing import TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def _load() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    descriptor_set = descriptor_pb2.FileDescriptorSet()
    descriptor_set.ParseFromString(files("tfx_export.wire").joinpath("protocol.binpb").read_bytes())
    for file in descriptor_set.file:
        pool.Add(file)
    return pool


POOL = _load()


def message_class(full_name: str) -> type[Message]:
    """Returns the class of the message `full_name`, e.g. `tensorflow.serving.PredictRequest`, or raises KeyError."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


def parse_text(cls: type[M], text: str | bytes) -> M:
    """Parses `text`, in protobuf text format, as a `cls`.

    Raises `google.protobuf.text_format.ParseError`, whose message names the line and column.
    """
    return text_format.Parse(text, cls(), descriptor_pool=POOL)
