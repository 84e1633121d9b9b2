"""Options of the form NAME=VALUE that can be repeated."""

from collections.abc import Iterable

from tfx_export.errors import SpecError


def read_pairs(option: str, pairs: Iterable[str], example: str) -> dict[str, str]:
    """`["a=b"]` -> `{"a": "b"}`. Raises SpecError for what is no pair, and for a name given twice."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise SpecError(f"{option} takes NAME=VALUE, and got {pair!r}.", hint=f"For example: {option} {example}")
        if name in values:
            raise SpecError(f"{option} names {name!r} twice: {values[name]!r} and {value!r}.")
        values[name] = value
    return values
