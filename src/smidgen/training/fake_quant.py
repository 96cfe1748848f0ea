"""Fake-quant: float tensors take the values that the device's integers will stand for.

Rounding is passed through by gradients as if it were not there; what is clipped has none. The ends
of a range and the step of weights are learned, as the logarithm of what calibration found, so that
a step of training changes them by a part of themselves, whatever the scale of the data.

Sources: Esser et al., "Learned step size quantization" (2020), for the gradient of a step; Jain et
al., "Trained quantization thresholds" (2020), for ranges, and for logarithms.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from smidgen.ir import QuantParams
from smidgen.numerics.affine import dtype_range
from smidgen.ops._op import ScaledSum
from smidgen.transforms.quantize.plan import Group

Tensor = torch.Tensor

# Rounding is to even in torch and away from zero on the device: this much more makes ties go there.
_AWAY = 1 + 2.0**-22
_AWAY_FROM_EXACT = 1 + 2.0**-40  # in double precision
# A half, and what float32 leaves in doubt where numbers are averaged.
_DOUBT = 0.5 + 2.0**-12
_HALF = torch.tensor(0.5)


class Range(nn.Module):
    """The range of values that share their parameters.

    Args:
        group: the values.
        params: that they have now.
        learned: whether the range is trained.

    Example:
        >>> group = Group(("x",), -1.0, 3.0, "int8", power=False, centred=False, free=True)
        >>> round(Range(group, group.params(-1.0, 3.0), learned=True).params().scale, 6)
        0.015686
    """

    def __init__(self, group: Group, params: QuantParams, *, learned: bool) -> None:
        super().__init__()
        self.group = group
        self.fixed = params
        self.dtype = group.dtype
        self.ends = nn.Parameter(torch.zeros(2)) if learned and group.low < group.high else None

    def limits(self) -> tuple[float, float]:
        """The least and the greatest value, as `convert` takes them."""
        if self.ends is None:
            return self.group.low, self.group.high
        low, high = (math.exp(by) for by in self.ends.tolist())
        return self.group.low * low, self.group.high * high

    def params(self) -> QuantParams:
        """Scale and zero point as the device will have them."""
        return self.fixed if self.ends is None else self.group.params(*self.limits())

    def moved(
        self, limits: tuple[float, float], rounded: float, below: float, above: float
    ) -> list[float]:
        """The gradient of the logarithms of both ends.

        Args:
            limits: the ends.
            rounded: the sum of gradients times rounding errors, of values within the range.
            below, above: sums of the gradients of values that are clipped at each end.
        """
        low, high = limits
        if self.group.centred or self.dtype == "int16":  # the longer end makes the step
            by = rounded + (above - below) * max(-low, high)
            return [by, 0.0] if -low > high else [0.0, by]
        part = rounded / (high - low)
        return [below * low - part * low, above * high + part * high]


class FakeQuant(nn.Module):
    """Activations in the parameters of a range.

    Args:
        range: whose.
    """

    def __init__(self, range: Range) -> None:
        super().__init__()
        self.range = range

    def rounded(self, x: Tensor, params: QuantParams) -> Tensor:
        """How many steps from zero each value is, a new tensor of whole numbers; to be clipped."""
        return (x * (_AWAY / params.scale)).round_()

    def forward(self, x: Tensor) -> Tensor:
        """Values of any shape, rounded and clipped."""
        result: Tensor = _Activation.apply(x, self.range.ends, self)  # type: ignore[no-untyped-call]
        return result


class FakeQuantTied(FakeQuant):
    """Results of operators that compute on integers as they are, zero points included.

    Ties go away from the integer zero, not from the real one.
    """

    def rounded(self, x: Tensor, params: QuantParams) -> Tensor:
        """See `FakeQuant.rounded`."""
        q = x / params.scale + params.zero_point
        return torch.copysign((q.abs() + _DOUBT).floor_(), q).sub_(params.zero_point)


class FakeQuantConstant(FakeQuant):
    """A constant that is read as an activation: its range is that of its elements."""

    def forward(self, x: Tensor) -> Tensor:
        """The constant, rounded."""
        ends = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
        self.range.fixed = self.range.group.params(*ends)
        return super().forward(x)


class FakeQuantWeight(nn.Module):
    """Weights in steps that are learned, for each channel or one for all; zero stays zero.

    Args:
        params: where the steps start.
        rank: of the weights.
        limit: of the steps' numbers: they go from -limit to limit.

    Example:
        >>> hook = FakeQuantWeight(QuantParams.per_tensor(0.5), rank=1, limit=7)
        >>> hook(torch.tensor([0.25, -1.3, 9.0])).tolist()
        [0.5, -1.5, 3.5]
    """

    def __init__(self, params: QuantParams, rank: int, limit: int) -> None:
        super().__init__()
        self.start, self.limit = params, limit
        self.shape = [-1 if axis == params.axis else 1 for axis in range(rank)]
        self.by = nn.Parameter(torch.zeros(len(params.scales)))
        self.first: Tensor
        self.register_buffer("first", torch.tensor(params.scales))

    def steps(self) -> Tensor:
        """The steps (channels,), or (1,)."""
        return self.first * self.by.exp()

    def params(self) -> QuantParams:
        """The parameters as the device will have them."""
        return replace(self.start, scales=tuple(self.steps().tolist()))

    def forward(self, weights: Tensor) -> Tensor:
        """Weights of the given rank, rounded and clipped."""
        steps = self.steps().reshape(self.shape)
        if not self.training:  # one in 100,000 lies so near to a tie that floats do not tell
            weights, steps = weights.double(), steps.double()
        return (_round((weights / steps).clamp(-self.limit, self.limit)) * steps).float()


class FakeQuantSums(FakeQuant):
    """Sums of products with weights, scaled by an integer multiplier and a shift.

    Sums of int8 are rounded twice: to as many bits behind the point as the shift takes away, then
    to whole numbers. So what lies less than half of such a bit below a tie goes up. Sums of int16
    are rounded once, with a multiplier of 15 bits. See `smidgen.numerics.requantize`.

    Sums of floats are off by a little, each processor's in its own way, and what comes out on the
    other side of a tie changes many results in the next layers. So in evaluation mode they are
    brought back to the whole numbers that they stand for.

    Args:
        range: of the results.
        source: of what the weights are multiplied with.
        weight: hook of the weights.
    """

    def __init__(self, range: Range, source: Range, weight: FakeQuantWeight) -> None:
        super().__init__(range)
        self.source, self.weight = source, weight

    def rounded(self, x: Tensor, params: QuantParams) -> Tensor:
        """See `FakeQuant.rounded`."""
        steps, away = self.weight.steps().detach(), _AWAY
        if not self.training:  # then nothing but the sums themselves will do
            steps, away = steps.double(), _AWAY_FROM_EXACT
            unit = steps * self.source.params().scale
            x = (x.double() / unit).round_().mul_(unit)
        factors = steps * (self.source.params().scale / params.scale)
        mantissas, shifts = torch.frexp(factors)
        if self.range.dtype == "int16":
            kept = (mantissas * 2**15).round_().clamp_(max=2**15 - 1) / 2**15
            return (x * (kept / mantissas * (away / params.scale))).round_()
        push = torch.where(shifts < 0, torch.exp2(shifts - 1.0), 0.0)
        return _twice_rounded(x, push, params, away, self.range.dtype)


class FakeQuantScaledSum(FakeQuant):
    """Sums of an operand's integers, such as means, rounded twice like `FakeQuantSums`.

    Args:
        range: of the results.
        source: of what is summed.
        how: they are scaled.
    """

    def __init__(self, range: Range, source: Range, how: ScaledSum) -> None:
        super().__init__(range)
        self.source, self.how = source, how

    def rounded(self, x: Tensor, params: QuantParams) -> Tensor:
        """See `FakeQuant.rounded`."""
        scale, away = self.source.params().scale, _AWAY
        if not self.training:
            unit, away = self.how.unit * scale, _AWAY_FROM_EXACT
            x = (x.double() / unit).round_().mul_(unit)
        _, shift = self.how.factor(scale / params.scale)
        push = torch.tensor(2.0 ** (shift - 1) if shift < 0 else 0.0, device=x.device)
        return _twice_rounded(x, push, params, away, self.range.dtype)


def _twice_rounded(x: Tensor, push: Tensor, params: QuantParams, away: float, dtype: str) -> Tensor:
    """Whole numbers of steps, where what lies less than `push` of a step below a tie goes up."""
    if params.zero_point == dtype_range(dtype)[0]:  # what is negative is clipped
        return torch.add(push, x, alpha=away / params.scale).round_()
    y = x * (away / params.scale)
    return y.add_(torch.copysign(push, y)).round_()


class FakeQuantBias(nn.Module):
    """A bias (channels,) in the steps of the sums that it is added to.

    Args:
        source: range of what the weights are multiplied with.
        weight: hook of the weights.
    """

    def __init__(self, source: Range, weight: FakeQuantWeight) -> None:
        super().__init__()
        self.source, self.weight = source, weight

    def forward(self, bias: Tensor) -> Tensor:
        """The bias, rounded."""
        steps = self.weight.steps().detach() * self.source.params().scale
        return _round(bias / steps) * steps


class Scaled(nn.Module):
    """A constant that is kept in a unit of its own.

    Training moves each number by about the learning rate. Where batch norms are folded, weights are
    of any size, and such a move would be a small part of one and many times another.

    Args:
        units: powers of two that broadcast with the constant.
    """

    def __init__(self, units: Tensor) -> None:
        super().__init__()
        self.units: Tensor
        self.register_buffer("units", units)

    def forward(self, constant: Tensor) -> Tensor:
        """The constant as operators read it."""
        return constant * self.units


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x + torch.copysign(_HALF, x)).trunc_()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _round(x: Tensor) -> Tensor:
    """The nearest whole numbers, ties away from zero; gradients pass."""
    result: Tensor = _Round.apply(x)  # type: ignore[no-untyped-call]
    return result


class _Activation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ends: Tensor | None, hook: FakeQuant) -> Tensor:
        range = hook.range
        params = range.params()
        least, most = (q - params.zero_point for q in dtype_range(range.dtype))
        y = hook.rounded(x, params).clamp_(least, most).mul_(params.scale).to(x.dtype)
        ctx.save_for_backward(x, y)
        ctx.range = range if ends is not None and ends.requires_grad else None
        ctx.limits = range.limits()
        ctx.clips = (least - 0.5) * params.scale, (most + 0.5) * params.scale
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = gradients
        x, y = ctx.saved_tensors
        low, high = ctx.clips
        inside = _where(g, x, low, high)
        if ctx.range is None:
            return inside, None, None
        # What is rounded moves with the step, what is clipped with the end that clips it.
        room = y - x  # memory is dearer than arithmetic: one new tensor will do
        rounded = float(room.mul_(inside).sum())
        above = float(_where(g, x, high, math.inf, room).sum())
        below = float(_where(g, x, -math.inf, low, room).sum()) if ctx.limits[0] < 0 else 0.0
        moved = ctx.range.moved(ctx.limits, rounded, below, above)
        return inside, torch.tensor(moved, device=x.device), None


def _where(g: Tensor, x: Tensor, low: float, high: float, into: Tensor | None = None) -> Tensor:
    """`g` where x lies between two numbers, and zero elsewhere."""
    into = torch.empty_like(x) if into is None else into
    result: Tensor = torch.ops.aten.hardtanh_backward.grad_input(g, x, low, high, grad_input=into)
    return result
