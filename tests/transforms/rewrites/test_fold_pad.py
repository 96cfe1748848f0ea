from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen.transforms.rewrites import fold_pad
from tests.transforms.rewrites.hand import Net, Q, ops, rewritten, whys


def padded(n: Net, x: str, height: tuple[int, int], width: tuple[int, int]) -> str:
    return n.add("PAD", x, paddings=((0, 0), height, width, (0, 0)))


def layer(n: Net, kind: str, x: str, stride: int = 1) -> str:
    how: dict[str, Any] = {"stride_h": stride, "stride_w": stride}
    if kind == "conv":
        return n.conv(x, 4, **how)
    if kind == "depthwise":
        return n.depthwise(x, **how)
    return n.add(kind, x, filter_height=3, filter_width=3, **how)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("kind", ["conv", "depthwise"])
@pytest.mark.parametrize(
    ("image", "stride", "amount"), [((6, 6), 1, (1, 1)), ((6, 6), 2, (0, 1)), ((7, 7), 2, (1, 1))]
)
def test_a_convolution_pads_for_itself(
    kind: str, image: tuple[int, int], stride: int, amount: tuple[int, int], dtype: str
) -> None:
    n = Net(dtype, (1, *image, 3))
    graph = n.build(layer(n, kind, padded(n, n.x, amount, amount), stride))
    small, _ = rewritten(graph, fold_pad.RULE)
    assert len(small.nodes) == 1
    assert small.nodes[0].op.padding == "SAME"


@pytest.mark.parametrize(
    ("image", "stride", "height", "width"),
    [
        ((6, 6), 2, (1, 1), (1, 1)),  # as PyTorch pads; SAME starts one pixel later
        ((6, 6), 1, (2, 2), (2, 2)),
        ((6, 6), 1, (1, 1), (0, 2)),
        ((6, 6), 1, (1, 1), (0, 0)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_other_borders_stay(
    image: tuple[int, int],
    stride: int,
    height: tuple[int, int],
    width: tuple[int, int],
    dtype: str,
) -> None:
    n = Net(dtype, (1, *image, 3))
    graph = n.build(layer(n, "conv", padded(n, n.x, height, width), stride))
    small, report = rewritten(graph, fold_pad.RULE)
    assert ops(small) == ["PAD", "CONV_2D"]
    assert whys(report) == [
        f"padding {(height, width)} of height and width is not what SAME would pad"
    ]


def test_padded_channels_stay() -> None:
    n = Net()
    p = n.add("PAD", n.x, paddings=((0, 0), (1, 1), (1, 1), (0, 1)))
    small, report = rewritten(n.build(n.conv(p, 2)), fold_pad.RULE)
    assert ops(small) == ["PAD", "CONV_2D"]
    assert whys(report) == ["more than height and width is padded"]


@pytest.mark.parametrize(("value", "folds"), [(-5, True), (-4, False)])
def test_a_value_is_as_good_as_zero_if_it_stands_for_zero(value: int, folds: bool) -> None:
    n = Net("int8")
    filler = n.b.constant(np.array([value], np.int8), quant=n.quant)
    p = n.add("PADV2", n.x, filler, paddings=((0, 0), (1, 1), (1, 1), (0, 0)))
    small, report = rewritten(n.build(n.conv(p, 2)), fold_pad.RULE)
    assert ops(small) == (["CONV_2D"] if folds else ["PADV2", "CONV_2D"])
    assert whys(report) == ([] if folds else ["the border is not zero"])


def test_every_reader_folds_on_its_own() -> None:
    n = Net()
    p = padded(n, n.x, (1, 1), (1, 1))
    graph = n.build(n.conv(p, 2, "a"), n.conv(p, 2, "b", kernel=2))
    small, _ = rewritten(graph, fold_pad.RULE)
    assert sorted(ops(small)) == ["CONV_2D", "CONV_2D", "PAD"]
    assert small.producers["a"].op.padding == "SAME"
    assert small.producers["b"].op.padding == "VALID"


def test_a_mean_counts_the_border() -> None:
    n = Net("int8")
    graph = n.build(layer(n, "AVERAGE_POOL_2D", padded(n, n.x, (1, 1), (1, 1))))
    small, report = rewritten(graph, fold_pad.RULE)
    assert ops(small) == ["PAD", "AVERAGE_POOL_2D"]
    assert whys(report) == ["the mean would no longer count the border"]


def test_a_border_that_no_window_reaches_may_go() -> None:
    n = Net("int8", (1, 6, 6, 3))
    p = padded(n, n.x, (0, 1), (0, 1))
    graph = n.build(n.add("AVERAGE_POOL_2D", p, filter_height=2, filter_width=2,
                          stride_h=2, stride_w=2))  # fmt: skip
    assert ops(rewritten(graph, fold_pad.RULE)[0]) == ["AVERAGE_POOL_2D"]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_maximum_is_not_changed_by_a_border_that_is_never_larger(dtype: str) -> None:
    n = Net(dtype)
    clamped = n.add("RELU", n.x)
    graph = n.build(layer(n, "MAX_POOL_2D", padded(n, clamped, (1, 1), (1, 1))))
    assert ops(rewritten(graph, fold_pad.RULE)[0]) == ["RELU", "MAX_POOL_2D"]
    n = Net(dtype)
    graph = n.build(layer(n, "MAX_POOL_2D", padded(n, n.x, (1, 1), (1, 1))))
    small, report = rewritten(graph, fold_pad.RULE)
    assert ops(small) == ["PAD", "MAX_POOL_2D"]
    assert whys(report) == ["the border may be larger than the image"]


def test_a_layer_that_pads_already_is_left_alone() -> None:
    n = Net("int8")
    graph = n.build(n.conv(padded(n, n.x, (1, 1), (1, 1)), 2, padding="SAME"))
    assert ops(rewritten(graph, fold_pad.RULE)[0]) == ["PAD", "CONV_2D"]
    assert Q(0.1, -5) == n.quant
