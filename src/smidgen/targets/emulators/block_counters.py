"""Counting basic blocks under unicorn: in C at full speed, or in Python where no compiler is."""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from smidgen.errors import EmulatorError, ToolchainError, ToolMissingError
from smidgen.targets.counts import BlockCount
from smidgen.targets.emulators.native import build_native

_SLOTS = 1 << 16  # blocks of a program: thousands, so the table stays sparse
_BLOCK = np.dtype(
    [("address", "<u4"), ("size", "<u4"), ("executions", "<u8"), ("fallthroughs", "<u8")]
)


class BlockCounter(Protocol):
    """Counts block executions of one unicorn engine, from its creation on."""

    def take(self) -> list[BlockCount]:
        """Counts since the last call, and start again from zero."""


class NativeBlockCounter:
    """The block hook as C: ``native/block_counter.c``, called by unicorn directly.

    Args:
        engine: A ``unicorn.Uc``.

    Raises:
        ToolMissingError: There is no host compiler.
        ToolchainError: The C file does not compile here.
        OSError: The library does not load.
    """

    def __init__(self, engine: Any) -> None:
        from unicorn import UC_HOOK_BLOCK

        # The binding wraps every callback in Python; its C library takes ours as it is.
        binding: Any = import_module("unicorn.unicorn_py3.unicorn")
        library = ctypes.CDLL(str(build_native("block_counter")))
        callback = ctypes.cast(library.sm_count_block, ctypes.c_void_p)
        self._library = library  # must outlive the engine
        self._slots = np.zeros(_SLOTS, _BLOCK)
        # sm_block_table: slots, mask, used, overflowed, last
        self._table = np.zeros(5, np.uint64)
        self._table[0] = self._slots.ctypes.data
        self._table[1] = _SLOTS - 1
        handle = binding.uc_hook_h()
        status = binding.uclib.uc_hook_add(
            engine._uch,
            ctypes.byref(handle),
            UC_HOOK_BLOCK,
            callback,
            ctypes.c_void_p(self._table.ctypes.data),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),  # an empty range means everywhere
        )
        if status != 0:
            raise EmulatorError(f"unicorn refused the block hook (error {status})")

    def take(self) -> list[BlockCount]:
        """Counts since the last call, and start again from zero.

        Raises:
            EmulatorError: More blocks ran than the table holds.
        """
        if self._table[3]:
            raise EmulatorError(f"the program runs more than {_SLOTS * 3 // 4} basic blocks")
        ran = self._slots[self._slots["executions"] > 0]
        blocks = [BlockCount(*map(int, row)) for row in ran.tolist()]
        self._slots[:] = 0
        self._table[2:] = 0
        return blocks


class PythonBlockCounter:
    """The same in Python: a factor of twenty slower, needs no compiler.

    Args:
        engine: A ``unicorn.Uc``.
    """

    def __init__(self, engine: Any) -> None:
        from unicorn import UC_HOOK_BLOCK

        self._counts: dict[tuple[int, int], list[int]] = {}
        self._last_end = -1
        self._last: list[int] = [0, 0]
        engine.hook_add(UC_HOOK_BLOCK, self._count)

    def _count(self, engine: Any, address: int, size: int, user_data: Any) -> None:
        if address == self._last_end:
            self._last[1] += 1
        self._last = self._counts.setdefault((address, size), [0, 0])
        self._last[0] += 1
        self._last_end = address + size

    def take(self) -> list[BlockCount]:
        """Counts since the last call, and start again from zero."""
        blocks = [BlockCount(*key, *counts) for key, counts in self._counts.items()]
        self._counts.clear()
        self._last_end = -1
        return blocks


def attach_block_counter(engine: Any, native: bool = True) -> BlockCounter:
    """Count the blocks an engine runs, natively where that is possible.

    Args:
        engine: A ``unicorn.Uc`` whose hooks are not cached yet (call ``ctl_flush_tb`` after).
        native: False to insist on the Python hook.

    Returns:
        The counter.
    """
    if native:
        try:
            return NativeBlockCounter(engine)
        except (ToolMissingError, ToolchainError, OSError):
            pass  # no compiler, or none whose libraries load: slower, as exact
    return PythonBlockCounter(engine)
