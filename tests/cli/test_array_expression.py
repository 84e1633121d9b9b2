"""Expressions may contain numpy's constructors and literals; other code is not evaluated."""

from typing import Any

import numpy as np
import pytest

from tfx_export.cli.array_expression import evaluate
from tfx_export.errors import SpecError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("['a', b'b']", ["a", b"b"]),
        ("-1.5", -1.5),
        (" np.ones((2, 3)) ", np.ones((2, 3))),
        ("numpy.zeros([2], dtype=np.int64)", np.zeros(2, np.int64)),
        ("np.arange(6).reshape(2, 3).astype('float32') / 2", np.arange(6, dtype=np.float32).reshape(2, 3) / 2),
        ("np.full((2,), 7) + [1, 2]", np.array([8, 9])),
        ("np.eye(2).T", np.eye(2)),
        ("np.linspace(0, 1, 3) * np.pi", np.linspace(0, 1, 3) * np.pi),
        ("np.array([np.nan, -np.inf])", np.array([np.nan, -np.inf])),
        ("np.random.rand(2, 2) * 0", np.zeros((2, 2))),
    ],
)
def test_an_expression_gives_the_same_array_as_in_python(text: str, expected: Any) -> None:
    value = evaluate(text)
    np.testing.assert_array_equal(value, expected)
    assert type(value) is type(expected)
    if isinstance(expected, np.ndarray):
        assert value.dtype == expected.dtype


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "np.ones(3).__class__",
        "np.load('x.npy')",
        "np.array.__globals__",
        "np.ones(3).tofile('x')",
        "np.random.__loader__",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "open('x')",
        "x",
        "'a'.format(1)",
        "np.ones(*[3])",
        "np.ones(**{'shape': 3})",
        "9 ** 9",
        "1 if True else 2",
        "f'{1}'",
        "[1][0]",
        "np.ones(3",
        "",
        "np.zeros((1 << 60,))",
        "1 / 0",
        "(" * 500,
    ],
)
def test_other_expressions_are_refused_with_a_list_of_what_is_allowed(text: str) -> None:
    with pytest.raises(SpecError) as refused:
        evaluate(text)
    assert "np.ones" in refused.value.hint
