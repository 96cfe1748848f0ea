from __future__ import annotations

import pytest

from smidgen.ops import get_op
from smidgen.transforms.rewrites import plain_forms, remove_identity, remove_unused, simplify
from tests.transforms.rewrites.hand import Net, ops, rewritten

DTYPES = pytest.mark.parametrize("dtype", ["float32", "int8"])


@DTYPES
def test_names_of_axes_are_reshapes_that_merge(dtype: str) -> None:
    n = Net(dtype, (1, 5, 1, 3))
    y = n.add("EXPAND_DIMS", n.add("SQUEEZE", n.x, squeeze_dims=(2,)), axis=1)
    packed = n.add("PACK", y, axis=2)
    small, _ = rewritten(n.build(packed), plain_forms.RULE, remove_identity.RULE)
    assert ops(small) == ["RESHAPE"]


@DTYPES
def test_a_block_is_a_strided_slice(dtype: str) -> None:
    n = Net(dtype, (1, 6, 6, 3))
    y = n.add("SLICE", n.x, begin=(0, 1, 2, 0), size=(-1, 3, -1, 3))
    small, _ = rewritten(n.build(y), plain_forms.RULE)
    (node,) = small.nodes
    assert node.op.name == "STRIDED_SLICE"
    assert node.op.batchable(*small.input_types)


@DTYPES
@pytest.mark.parametrize("kind", ["SPLIT", "SPLIT_V", "UNPACK"])
def test_a_split_that_few_read_is_slices(dtype: str, kind: str) -> None:
    how = {
        "SPLIT": {"num_splits": 3, "axis": 2},
        "SPLIT_V": {"size_splits": (1, 3, 2), "axis": 2},
        "UNPACK": {"num": 6, "axis": 2},
    }[kind]
    n = Net(dtype, (1, 4, 6, 3))
    parts = n.b.add_multi(get_op(kind)(**how), [n.x], quant=n.quant)
    small, _ = rewritten(n.build(n.add("RELU", parts[1])), remove_unused.RULE, plain_forms.RULE)
    assert ops(small) == ["STRIDED_SLICE", "RELU"]
    n = Net(dtype, (1, 4, 6, 3))
    parts = n.b.add_multi(get_op(kind)(**how), [n.x], quant=n.quant)
    kept, _ = rewritten(n.build(*parts[1:]), plain_forms.RULE)
    assert ops(kept) == [kind]  # most are read


@DTYPES
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("SPLIT", {"num_splits": 1, "axis": 1}),
        ("SLICE", {"begin": (0,) * 4, "size": (-1,) * 4}),
        ("TILE", {"multiples": (1,) * 4}),
        ("BROADCAST_TO", {"shape": (1, 6, 6, 3)}),
        ("MIRROR_PAD", {"paddings": ((0, 0),) * 4}),
        ("SPACE_TO_DEPTH", {"block_size": 1}),
        ("REVERSE_V2", {"axis": (0,)}),
        ("RESIZE_BILINEAR", {"size": (6, 6), "half_pixel_centers": True}),
    ],
)
def test_what_changes_nothing_goes(dtype: str, kind: str, how: dict[str, object]) -> None:
    n = Net(dtype)
    small = simplify(n.build(n.add("RELU", n.add(kind, n.x, **how))))
    assert ops(small) == ["RELU"]
