"""The private descriptor pool.

`tensorflow-serving-api` and TensorFlow register the same symbols in protobuf's default pool; a second file with those
names raises TypeError there. A private pool keeps the real names, and both can be used in one process.
"""

from pathlib import Path
from typing import TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def _load() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(_descriptor_set()).file:
        pool.Add(file)
    return pool


def _descriptor_set() -> bytes:
    """Reads protocol.binpb, which the build generates.

    Python started in a checkout imports the checkout's sources even if the package is installed; the
    installed file is then read. Raises ImportError if there is none.
    """
    generated = Path(__file__).with_name("protocol.binpb")
    if generated.is_file():
        return generated.read_bytes()
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        installed = distribution("tfx-export").locate_file("tfx_export/wire/protocol.binpb")
        return Path(str(installed)).read_bytes()
    except (PackageNotFoundError, OSError):
        checkout = Path(__file__).parents[2]
        raise ImportError(f"{generated} has not been generated. Type: pip install -e {checkout}") from None


POOL = _load()


def message_class(full_name: str) -> type[Message]:
    """Returns the class of the message `full_name`, e.g. `tensorflow.serving.PredictRequest`, or raises KeyError."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


def parse_text(cls: type[M], text: str | bytes) -> M:
    """Parses `text`, in protobuf text format, as a `cls`.

    Raises `google.protobuf.text_format.ParseError`, whose message names the line and column.
    """
    return text_format.Parse(text, cls(), descriptor_pool=POOL)
