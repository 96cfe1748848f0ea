"""What works in place of operators that have no rule."""

from __future__ import annotations

from smidgen.frontends.torch_export.site import RULES

_INSTEAD = {
    "erf": "use nn.GELU, whose operator LiteRT has",
    "fft": "compute the spectrum outside of the model",
    "stft": "compute the spectrogram outside of the model",
    "sort": "use argmax or max, which LiteRT has",
    "topk": "use argmax or max along an axis, or rank the outputs outside of the model",
    "grid_sampler": "use nn.functional.interpolate, or warp outside of the model",
    "scatter": "use cat, stack or where",
    "index_put": "build the result with cat, stack or where instead of assigning to a slice",
    "copy_": "build the result with cat, stack or where instead of assigning to a slice",
    "slice_scatter": "build the result with cat, stack or where instead of assigning to a slice",
    "select_scatter": "build the result with cat, stack or where instead of assigning to a slice",
    "nonzero": "use torch.where(mask, a, b), which keeps the shape",
    "masked_select": "use torch.where(mask, a, b), which keeps the shape",
    "conv3d": "fold one axis into the channels and use nn.Conv2d",
    "max_pool3d": "use pools of two dimensions",
    "avg_pool3d": "use pools of two dimensions",
    "einsum": "use matmul and permute",
    "rand": "give random numbers as an input of the model",
    "bernoulli": "call model.eval() before exporting it",
    "multinomial": "draw outside of the model",
    "nms": "keep boxes and scores as outputs and suppress outside of the model",
    "cond": "use torch.where, which computes both branches",
    "while_loop": "unroll the loop in forward",
    "complex": "keep real and imaginary parts in tensors of their own",
    "quantize": "export the float model and quantize it with smidgen.quantize",
}


def hint_for(packet: str) -> str:
    """What to do about an operator without a rule."""
    for part, hint in _INSTEAD.items():
        if part in packet:
            return hint
    similar = sorted(name for name in RULES if packet.strip("_")[:5] in name)
    if similar:
        return f"similar operators that work: {', '.join(similar[:5])}"
    return "write it with the layers that docs/pytorch.md lists"
