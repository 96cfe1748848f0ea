"""What RESHAPE, SQUEEZE and EXPAND_DIMS share: the same elements in the same order.

The result is the operand's own bytes, so that they cost nothing on a device.
"""

from __future__ import annotations

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Kernel
from smidgen.ops._op import AxisRef, Coupling


class Renaming(_movement.Movement):
    """An operator that gives its operand another shape and nothing else."""

    kernels = (
        Kernel("", "", guard=lambda site: None, params=lambda site: {}, arguments=(0,), alias=True),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels stay, or are flattened together with the pixels that they belong to."""
        x = _movement.the_operand(types)
        out = self.infer(*types)[0].shape
        if not x.shape or not out:
            return ()
        channels = x.shape[-1]
        if out[-1] == channels:
            return (Coupling(channels, (AxisRef(0, x.rank - 1), AxisRef(-1, len(out) - 1))),)
        if channels and out[-1] == x.size // x.shape[0]:  # flatten: channels repeat at each pixel
            tiles = out[-1] // channels
            flat = AxisRef(-1, len(out) - 1, period=channels, tiles=tiles)
            return (Coupling(channels, (AxisRef(0, x.rank - 1), flat)),)
        return ()
