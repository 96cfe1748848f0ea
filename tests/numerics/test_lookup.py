from __future__ import annotations

import numpy as np
import pytest

from smidgen.numerics.logistic import logistic_int8
from smidgen.numerics.lookup import INT8_VALUES, apply_table, table_int8


def test_the_order_is_that_of_the_unsigned_bits() -> None:
    assert INT8_VALUES.tolist() == [*range(128), *range(-128, 0)]


def test_a_table_answers_like_its_function() -> None:
    table = table_int8(lambda x: logistic_int8(x, 0.04, 3))
    x = np.random.default_rng(0).integers(-128, 128, (3, 5, 7)).astype(np.int8)
    np.testing.assert_array_equal(apply_table(x, table), logistic_int8(x, 0.04, 3))
    np.testing.assert_array_equal(table[x.view(np.uint8)], logistic_int8(x, 0.04, 3))


def test_a_table_refuses_other_types() -> None:
    with pytest.raises(ValueError, match="int16"):
        table_int8(lambda x: x.astype(np.int16))
    with pytest.raises(ValueError, match=r"int8\(255,\)"):
        table_int8(lambda x: x[1:])
