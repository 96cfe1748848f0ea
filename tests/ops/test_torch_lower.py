"""Every operator on torch tensors computes its own float meaning, and lets gradients through."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.ops import Sample, Unsupported, all_ops
from tests.examples import examples

EXAMPLES = 40
ROWS = 2

TRAINABLE = sorted(
    name for name, op in all_ops().items() if not isinstance(op.torch_lower, Unsupported)
)


def floats(sample: Sample) -> bool:
    return all(o is None or o.type.dtype != "int8" for o in sample.operands) and all(
        o is None or o.type.quant is None for o in sample.operands
    )


@pytest.mark.parametrize("name", TRAINABLE)
def test_torch_computes_the_float_meaning(name: str) -> None:
    import torch

    op = all_ops()[name]
    tried = 0
    for sample in examples(op.samples(), 3 * EXAMPLES, f"torch {name}"):
        if not floats(sample) or tried >= EXAMPLES:
            continue
        tried += 1
        rng = np.random.default_rng(tried)
        types = [None if o is None else o.type for o in sample.operands]
        rows = ROWS if sample.op.batchable(*types) else 1
        arrays = []
        for operand in sample.operands:
            if operand is None or operand.data is not None:
                arrays.append(None if operand is None else operand.data)
                continue
            shape = operand.type.shape
            widened = (rows * shape[0], *shape[1:]) if shape and shape[0] == 1 else shape
            arrays.append(rng.normal(0, 1, widened).astype(np.float32))
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
