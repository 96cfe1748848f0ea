"""ARG_MIN: where the least element along an axis is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ops import _arg


@dataclass(frozen=True)
class ArgMin(_arg.Arg):
    """Position of the least element along `axis`; the first if there are several."""

    name: ClassVar[str] = "ARG_MIN"
    options: ClassVar[str] = "ArgMinOptions"
    find: ClassVar[Any] = np.argmin

    axis: int = 0
    output_type: str = "INT32"

    kernels = _arg.kernels(-1)
