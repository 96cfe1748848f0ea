"""What is refused, and that the refusal says what, where and what would work."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import smidgen
from smidgen.errors import DataError, UnsupportedModelError
from tests.frontends.torch_export.layers import IMAGE, Do
from tests.frontends.torch_export.oracle import draw

pytestmark = pytest.mark.torch


def refusal(module: nn.Module, *shapes: tuple[int, ...]) -> str:
    with pytest.raises(UnsupportedModelError) as error:
        smidgen.load(module.eval(), example=draw(shapes or (IMAGE,)))
    return str(error.value)


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Any) -> Any:
        self.count.add_(1)
        return x + self.count


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = Do(lambda x: torch.special.erf(x))

    def forward(self, x: Any) -> Any:
        return self.head(x)


def test_an_operator_without_a_rule_is_named_with_module_line_and_replacement() -> None:
    message = refusal(Net())
    assert "aten.special_erf" in message or "aten.erf" in message
    assert "in 'head' (Do)" in message
    assert re.search(r"test_refusals\.py:\d+: self\.head = Do|layers\.py:\d+", message)
    assert "nn.GELU" in message


FUNCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "sort": (lambda x: x.sort(1)[0], "use argmax or max"),
    "topk": (lambda x: x.topk(2, 1)[0], "use argmax or max"),
    "fft": (lambda x: torch.fft.rfft(x).real, "outside of the model"),
    "positions": (lambda x: nn.functional.max_pool2d(x, 2, return_indices=True)[1], "return_ind"),
    "rand": (lambda x: x + torch.rand(1), "as an input"),
    "dilated pool": (lambda x: nn.functional.max_pool2d(x, 2, dilation=2), "dilation 1"),
    "odd scale": (
        lambda x: nn.functional.interpolate(x, scale_factor=1.23, mode="bilinear"),
        "recompute_scale_factor=True",
    ),
    "bicubic": (lambda x: nn.functional.interpolate(x, size=5, mode="bicubic"), "upsample"),
    "no tensor": (lambda x: None, "return the tensors"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    function, hint = FUNCTIONS[name]
    assert hint in refusal(Do(function))


def test_a_module_in_training_mode() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(UnsupportedModelError, match=r"training mode; call model\.eval\(\)"):
        smidgen.load(model, example=draw([IMAGE]))
    model.eval()[1].train()
    with pytest.raises(UnsupportedModelError, match="its module '1' is in training mode"):
        smidgen.load(model, example=draw([IMAGE]))


def test_a_batch_norm_without_statistics() -> None:
    message = refusal(nn.BatchNorm2d(4, track_running_stats=False))
    assert "statistics of the batch" in message
    assert "GroupNorm" in message


def test_a_buffer_that_forward_changes() -> None:
    assert "forward changes 'count'" in refusal(Counter())


def test_a_live_module_without_an_example() -> None:
    with pytest.raises(UnsupportedModelError, match="example="):
        smidgen.load(nn.ReLU().eval())


def test_an_example_for_what_needs_none() -> None:
    with pytest.raises(DataError, match="leave it out"):
        smidgen.load("model.tflite", example=draw([IMAGE]))


@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (7, 1, 4)])
def test_an_example_that_is_no_single_sample(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        UnsupportedModelError, match=r"no batch of 1; give an example of one sample"
    ):
        smidgen.load(nn.ReLU().eval(), example=(torch.zeros(shape),))


def test_a_module_that_pytorch_cannot_export() -> None:
    message = refusal(Do(lambda x: x if x.sum() > 0 else -x))
    assert "PyTorch cannot export it" in message


def test_sizes_that_are_known_at_run_time_only() -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        nn.Flatten().eval(), (torch.zeros(4, 2, 3),), dynamic_shapes={"input": {0: batch}}
    )
    with pytest.raises(UnsupportedModelError, match="export it without dynamic_shapes"):
        smidgen.load(program)


def test_a_custom_operator() -> None:
    @torch.library.custom_op("smidgen_tests::double", mutates_args=())
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @double.register_fake
    def _(x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    message = refusal(Do(double))
    assert "smidgen_tests.double" in message
    assert "custom operator" in message
