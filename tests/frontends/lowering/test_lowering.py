"""Each channels-first function against the PyTorch function that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import smidgen
from smidgen.errors import UnsupportedModelError
from smidgen.frontends import lowering
from smidgen.frontends.lowering import Lowering
from smidgen.ir import GraphBuilder, TensorType

pytestmark = pytest.mark.torch

Array = np.ndarray[Any, Any]
Build = Callable[[Lowering, str], str]
IMAGE, SEQUENCE = (4, 9, 8), (4, 9)


def draw(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32)


def agree(build: Build, torch_function: Callable[..., Any], shape: tuple[int, ...]) -> None:
    import torch

    from smidgen.training.module import GraphModule

    at = Lowering(GraphBuilder())
    at.layer = "layer"
    x = at.builder.input("x", TensorType((1, *shape), "float32"))
    graph = at.builder.build([build(at, x)])
    samples = draw(2, *shape, seed=1)
    (got,) = smidgen.run(graph, samples)
    want = torch_function(torch.from_numpy(samples)).numpy()
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1, abs(want).max()))
    (trained,) = GraphModule(graph).eval()(torch.from_numpy(samples))  # both samples at once
    np.testing.assert_allclose(
        trained.detach().numpy(), want, rtol=0, atol=1e-5 * max(1, abs(want).max())
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("stride", "pad", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2)])
@pytest.mark.parametrize("dims", [1, 2])
def test_conv(groups: int, stride: int, pad: int, dilation: int, dims: int) -> None:
    import torch
    import torch.nn.functional as F

    weight, bias = draw(8, 4 // groups, *(3,) * dims), draw(8)
    convolve = F.conv1d if dims == 1 else F.conv2d

    agree(
        lambda at, x: lowering.conv(
            at,
            x,
            weight,
            bias,
            strides=(stride,) * dims,
            pads=((pad, pad),) * dims,
            dilations=(dilation,) * dims,
            groups=groups,
        ),
        lambda x: convolve(
            x,
            torch.from_numpy(weight),
            torch.from_numpy(bias),
            stride=stride,
            padding=pad,
            dilation=dilation,
            groups=groups,
        ),
        SEQUENCE if dims == 1 else IMAGE,
    )


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 2, 1), (2, 2, 0), (3, 1, 1), (3, 3, 0)])
def test_pooling(kernel: int, stride: int, pad: int, ceil_mode: bool) -> None:
    import torch.nn.functional as F

    given: dict[str, Any] = {
        "strides": (stride,) * 2,
        "pads": ((pad, pad),) * 2,
        "ceil_mode": ceil_mode,
    }
    agree(
        lambda at, x: lowering.max_pool(at, x, (kernel,) * 2, **given),
        lambda x: F.max_pool2d(x, kernel, stride, pad, ceil_mode=ceil_mode),
        IMAGE,
    )
    for include in (False, True):
        agree(
            lambda at, x, i=include: lowering.average_pool(  # type: ignore[misc]
                at, x, (kernel,) * 2, count_include_pad=i, **given
            ),
            lambda x, i=include: F.avg_pool2d(x, kernel, stride, pad, ceil_mode, i),
            IMAGE,
        )


@pytest.mark.parametrize("output", [(1, 1), (3, 3), (5, 2), (4, 4), (3, 4)])
def test_adaptive_pooling(output: tuple[int, int]) -> None:
    import torch.nn.functional as F

    agree(
        lambda at, x: lowering.adaptive_average_pool(at, x, output),
        lambda x: F.adaptive_avg_pool2d(x, output),
        IMAGE,
    )
    agree(
        lambda at, x: lowering.adaptive_max_pool(at, x, output),
        lambda x: F.adaptive_max_pool2d(x, output),
        IMAGE,
    )


@pytest.mark.parametrize("shape", [(5,), (5, 6), (5, 3, 4)])
def test_batch_norm(shape: tuple[int, ...]) -> None:
    import torch
    import torch.nn.functional as F

    gamma, beta, mean, variance = draw(5), draw(5), draw(5), np.abs(draw(5)) + 0.1
    agree(
        lambda at, x: lowering.batch_norm(at, x, gamma, beta, mean, variance, epsilon=1e-5),
        lambda x: F.batch_norm(x, *map(torch.from_numpy, (mean, variance, gamma, beta)), eps=1e-5),
        shape,
    )


@pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 3, 6)])
def test_linear(shape: tuple[int, ...]) -> None:
    import torch
    import torch.nn.functional as F

    weight, bias = draw(4, 6), draw(4)
    agree(
        lambda at, x: lowering.linear(at, x, weight, bias),
        lambda x: F.linear(x, torch.from_numpy(weight), torch.from_numpy(bias)),
        shape,
    )


ACTIVATIONS: dict[str, Callable[..., str]] = {
    "relu": lowering.relu,
    "relu6": lowering.relu6,
    "sigmoid": lowering.sigmoid,
    "tanh": lowering.tanh,
    "silu": lowering.silu,
    "hardsigmoid": lowering.hard_sigmoid,
    "hardswish": lowering.hard_swish,
}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation(name: str) -> None:
    import torch

    agree(
        ACTIVATIONS[name],
        getattr(torch, name) if name == "tanh" else getattr(torch.nn.functional, name),
        IMAGE,
    )


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_softmax(axis: int) -> None:
    agree(lambda at, x: lowering.softmax(at, x, axis), lambda x: x.softmax(axis), IMAGE)


@pytest.mark.parametrize(
    ("begin", "end", "step"), [(1, 7, 1), (-3, None, 1), (None, None, 2), (8, 1, -3)]
)
def test_slice(begin: int | None, end: int | None, step: int) -> None:
    def take(x: Any) -> Any:
        return x[:, :, begin:end:step] if step > 0 else x.flip(2)[:, :, 0:7:3]

    agree(lambda at, x: lowering.slice_axis(at, x, 2, begin, end, step), take, IMAGE)


def test_a_refusal_of_an_operator_is_a_typed_error() -> None:
    at = Lowering(GraphBuilder())
    x = at.builder.input("x", TensorType((1, 2, 3), "float32"))
    with pytest.raises(UnsupportedModelError, match=r"RESHAPE: .* has 6 elements"):
        lowering.reshape(at, x, (1, 7))
