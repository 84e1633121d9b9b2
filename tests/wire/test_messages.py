"""The message classes and their generated types come from the same descriptors."""

import runpy
from pathlib import Path

import pytest

import tfx_export
from tfx_export.wire import messages

CHECKOUT = Path(tfx_export.__file__).parents[1]
WIRE = CHECKOUT / "tfx_export" / "wire"


def test_the_types_are_those_of_the_descriptors() -> None:
    stub = runpy.run_path(str(CHECKOUT / "protos" / "generate.py"))["stub"]
    assert stub((WIRE / "protocol.binpb").read_bytes()) == (WIRE / "messages.pyi").read_text()


def test_an_unknown_message_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchMessage"):
        getattr(messages, "NoSuchMessage")  # noqa: B009
