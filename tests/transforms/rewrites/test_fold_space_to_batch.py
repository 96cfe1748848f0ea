from __future__ import annotations

from typing import Any

import pytest

from smidgen.transforms.rewrites import fold_space_to_batch, shrink, simplify
from tests.transforms.rewrites.hand import Net, ops, rewritten, whys

DTYPES = pytest.mark.parametrize("dtype", ["float32", "int8"])


def around(n: Net, layer: Any, block: tuple[int, ...], pads: Any, crops: Any) -> str:
    x = n.add("SPACE_TO_BATCH_ND", n.x, block_shape=block, paddings=pads)
    return n.add("BATCH_TO_SPACE_ND", layer(x), block_shape=block, crops=crops)


@DTYPES
@pytest.mark.parametrize("kind", ["conv", "depthwise"])
@pytest.mark.parametrize(
    ("block", "pads", "crops"),
    [
        ((2, 2), ((2, 2), (2, 2)), ((0, 0), (0, 0))),  # what SAME becomes
        ((2, 2), ((2, 4), (2, 4)), ((0, 2), (0, 1))),  # filled up to whole blocks
        ((3, 1), ((0, 3), (0, 0)), ((0, 0), (0, 0))),
        ((2, 4), ((2, 2), (4, 6)), ((0, 0), (0, 2))),
    ],
)
def test_a_convolution_is_dilated(
    dtype: str, kind: str, block: tuple[int, int], pads: Any, crops: Any
) -> None:
    n = Net(dtype)
    layer = n.depthwise if kind == "depthwise" else lambda x: n.conv(x, 4)
    graph = n.build(n.add("RELU", around(n, layer, block, pads, crops)))
    small, _ = rewritten(graph, fold_space_to_batch.RULE)
    (folded,) = (node.op for node in small.nodes if "CONV" in node.op.name)
    assert (folded.dilation_h_factor, folded.dilation_w_factor) == block
    assert not any("BATCH" in name for name in ops(small))


@DTYPES
def test_lines_have_no_height(dtype: str) -> None:
    """As Keras writes Conv1D: an axis comes and goes around the convolution."""
    n = Net(dtype, (1, 12, 3))

    def layer(x: str) -> str:
        image = n.add("EXPAND_DIMS", x, axis=1)
        y = n.layer("CONV_2D", image, (4, 1, 3, 3), "conv")
        return n.add("SQUEEZE", y, squeeze_dims=(1,))

    causal = around(n, layer, (4,), ((8, 0),), ((0, 0),))
    graph = n.build(causal)
    small, _ = rewritten(graph, fold_space_to_batch.RULE)
    assert ops(small) == ["RESHAPE", "PAD", "CONV_2D", "RESHAPE"]
    assert small.nodes[2].op.dilation_w_factor == 4


@DTYPES
def test_what_is_done_to_each_element_stays_in_between(dtype: str) -> None:
    n = Net(dtype)

    def layer(x: str) -> str:
        return n.add("RELU", n.add("ADD", n.conv(x, 4, bias=False), n.constant(4)))

    graph = n.build(around(n, layer, (2, 2), ((2, 2), (2, 2)), ((0, 0), (0, 0))))
    small, _ = rewritten(graph, fold_space_to_batch.RULE)
    assert ops(small) == ["PAD", "CONV_2D", "ADD", "RELU"]
    assert simplify(graph).nodes[0].op.padding == "SAME"  # as it was written


def test_integers_are_the_same_to_the_bit() -> None:
    n = Net("int8")
    graph = n.build(around(n, n.depthwise, (2, 2), ((2, 2), (2, 2)), ((0, 0), (0, 0))))
    small, _ = shrink(graph)
    assert ops(small) == ["DEPTHWISE_CONV_2D"]


@pytest.mark.parametrize(
    ("layer", "crops", "says"),
    [
        ({"padding": "SAME"}, ((0, 0), (0, 0)), "pads or strides"),
        ({"dilation_h_factor": 2}, ((0, 0), (0, 0)), "dilated already"),
        ({}, ((3, 0), (0, 0)), "more is cut off"),
    ],
)
def test_other_blocks_stay(layer: dict[str, Any], crops: Any, says: str) -> None:
    n = Net("int8", (1, 12, 12, 3))
    graph = n.build(around(n, lambda x: n.conv(x, 4, **layer), (2, 2), ((2, 2), (2, 2)), crops))
    same, report = rewritten(graph, fold_space_to_batch.RULE)
    assert len(same.nodes) == 3
    assert any(says in why for why in whys(report))
