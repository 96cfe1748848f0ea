"""ARG_MAX: where the greatest element along an axis is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _arg


@dataclass(frozen=True)
class ArgMax(_arg.Arg):
    """Position of the greatest element along `axis`; the first if there are several."""

    name: ClassVar[str] = "ARG_MAX"
    options: ClassVar[str] = "ArgMaxOptions"
    find: ClassVar[Any] = np.argmax

    axis: int = 0
    output_type: str = "INT32"

    kernels = _arg.kernels(1)
