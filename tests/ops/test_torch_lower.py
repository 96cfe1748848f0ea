"""Every operator on torch tensors computes its own float meaning, and lets gradients through."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.ir import TensorType
from smidgen.ops import Sample, Unsupported, all_ops
from smidgen.ops._draw import values
from tests.examples import examples

EXAMPLES = 40
ROWS = 2

TRAINABLE = sorted(
    name for name, op in all_ops().items() if not isinstance(op.torch_lower, Unsupported)
)
POSITIVE = ("LOG", "POW", "RSQRT", "SQRT")


def floats(sample: Sample) -> bool:
    return all(o is None or o.type.dtype != "int8" for o in sample.operands) and all(
        o is None or o.type.quant is None for o in sample.operands
    )


def drawn(rng: np.random.Generator, name: str, type: TensorType) -> np.ndarray:
    """Operands at random, of any dtype."""
    if type.dtype != "float32":
        return values(rng, type)
    return suited(name, rng.normal(0, 1, type.shape).astype(np.float32))


def suited(name: str, array: np.ndarray) -> np.ndarray:
    """The array, or the positive numbers that some operators are for."""
    return np.abs(array) + np.float32(0.1) if name in POSITIVE else array


@pytest.mark.parametrize("name", TRAINABLE)
def test_torch_computes_the_float_meaning(name: str) -> None:
    import torch

    op = all_ops()[name]
    tried = 0
    for sample in examples(op.samples(), 8 * EXAMPLES, f"torch {name}"):
        if not floats(sample) or tried >= EXAMPLES:
            continue
        tried += 1
        rng = np.random.default_rng(tried)
        types = [None if o is None else o.type for o in sample.operands]
        rows = ROWS if sample.op.batchable(*types) else 1
        arrays = []
        for operand in sample.operands:
            if operand is None:
                arrays.append(None)
                continue
            if operand.data is not None:
                arrays.append(suited(name, operand.data))
                continue
            shape = operand.type.shape
            widened = (rows * shape[0], *shape[1:]) if shape and shape[0] == 1 else shape
            arrays.append(drawn(rng, name, operand.type.with_shape(widened)))
        tensors = [None if a is None else torch.tensor(a) for a in arrays]
        varied = [
            t.requires_grad_()
            for t, o in zip(tensors, sample.operands, strict=True)
            if t is not None and o is not None and o.data is None and t.is_floating_point()
        ]
        got = sample.op.torch_lower(*tensors)
        got = got if isinstance(got, tuple) else (got,)
        want = sample.op.float_ref(*arrays)
        for g, w in zip(got, want, strict=True):
            scale = max(1.0, float(np.abs(w).max(initial=0)))
            np.testing.assert_allclose(g.detach().numpy(), w, rtol=0, atol=1e-5 * scale)
        if varied and got[0].is_floating_point():
            sum(g.sum() for g in got).backward()
            assert all(t.grad is not None and bool(t.grad.isfinite().all()) for t in varied)
    assert tried >= 5


# Those that are more than a call of torch's own, with shapes of what they are differentiated by.
DIFFERENTIATED = {
    "BATCH_TO_SPACE_ND": ({"block_shape": (2, 2), "crops": ((0, 1), (0, 0))}, [(4, 2, 1, 2)]),
    "CUMSUM": ({"axis": 1, "exclusive": True, "reverse": True}, [(2, 4)]),
    "L2_NORMALIZATION": ({}, [(2, 4)]),
    "MIRROR_PAD": ({"paddings": ((0, 0), (1, 2)), "mode": "REFLECT"}, [(2, 4)]),
    "PACK": ({"axis": 1}, [(2, 3), (1, 3)]),
    "PRELU": ({}, [(2, 4), (4,)]),
    "REDUCE_PROD": ({"axis": (1, 2)}, [(2, 3, 2)]),
    "RESIZE_BILINEAR": ({"size": (3, 5), "half_pixel_centers": True}, [(1, 2, 3, 2)]),
    "SPACE_TO_BATCH_ND": ({"block_shape": (2, 2), "paddings": ((0, 1), (0, 0))}, [(1, 3, 2, 2)]),
    "SPLIT_V": ({"size_splits": (1, 3), "axis": 1}, [(2, 4)]),
    "SVDF": ({"rank": 2}, [(2, 3), (4, 3), (4, 5), (2,), (1, 20)]),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        {},
        [(2, 2, 3), *[(2, 3)] * 4, *[(2, 2)] * 4, *[(2,)] * 4, *[(1, 2)] * 2],
    ),
}


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients_are_those_of_the_differences(name: str) -> None:
    import torch

    attributes, shapes = DIFFERENTIATED[name]
    rng = np.random.default_rng(0)
    operands = [torch.tensor(rng.normal(0, 1, shape), requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(all_ops()[name](**attributes).torch_lower, operands)
