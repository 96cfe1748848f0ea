"""Training: a graph becomes a torch module, learns, and comes back."""

from __future__ import annotations

import importlib.util

from smidgen.errors import ToolMissingError

if importlib.util.find_spec("torch") is None:
    raise ToolMissingError("torch", extra="train", purpose="training")
