"""What unicorn calls back: counting blocks, in C at full speed, and checking alignment."""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from smidgen.errors import EmulatorError, ToolchainError, ToolMissingError
from smidgen.targets.counts import BlockCount
from smidgen.targets.emulators.native import build_native

_SLOTS = 1 << 15  # a program runs a few thousand blocks, so the table stays sparse
_BLOCK = np.dtype(
    [("address", "<u4"), ("size", "<u4"), ("executions", "<u8"), ("fallthroughs", "<u8")]
)


class BlockCounter(Protocol):
    """Counts block executions of one unicorn engine, from its creation on."""

    def take(self) -> list[BlockCount]:
        """Counts since the last call, and start again from zero."""


class NativeBlockCounter:
    """The block hook as C: ``native/hooks.c``, called by unicorn directly.

    Args:
        engine: A ``unicorn.Uc``.

    Raises:
        ToolMissingError: There is no host compiler.
        ToolchainError: The C file does not compile here.
        OSError: The library does not load.
    """

    def __init__(self, engine: Any) -> None:
        from unicorn import UC_HOOK_BLOCK

        self._slots = np.zeros(_SLOTS, _BLOCK)
        # sm_block_table: slots, mask, used, overflowed, last
        self._table = np.zeros(5, np.uint64)
        self._table[0] = self._slots.ctypes.data
        self._table[1] = _SLOTS - 1
        self._library = _add_native_hook(engine, UC_HOOK_BLOCK, "sm_count_block", self._table)

    def take(self) -> list[BlockCount]:
        """Counts since the last call, and start again from zero.

        Raises:
            EmulatorError: More blocks ran than the table holds.
        """
        if self._table[3]:
            raise EmulatorError(f"the program runs more than {_SLOTS * 3 // 4} basic blocks")
        used = np.flatnonzero(self._slots["executions"])
        blocks = [BlockCount(*row) for row in self._slots[used].tolist()]
        self._slots[used] = 0
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


class AlignmentCheck:
    """Stops the engine at the first access that is not a multiple of its own size.

    Args:
        engine: A ``unicorn.Uc``.

    Raises:
        ToolMissingError: There is no host compiler.
        ToolchainError: The C file does not compile here.
    """

    def __init__(self, engine: Any) -> None:
        from unicorn import UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE

        # sm_alignment: address, size, stop
        self._table = np.zeros(3, np.uint64)
        stop = ctypes.cast(_binding().uclib.uc_emu_stop, ctypes.c_void_p).value
        assert stop is not None
        self._table[2] = stop
        kinds = UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE
        self._library = _add_native_hook(engine, kinds, "sm_check_alignment", self._table)

    def take(self) -> tuple[int, int] | None:
        """Address and size of the first unaligned access since the last call, or None."""
        address, size = int(self._table[0]), int(self._table[1])
        self._table[0] = 0
        return (address, size) if address else None


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


def _binding() -> Any:
    """The Python binding: it wraps every callback, but its C library takes ours as it is."""
    return import_module("unicorn.unicorn_py3.unicorn")


def _add_native_hook(
    engine: Any, kinds: int, function: str, table: npt.NDArray[np.uint64]
) -> ctypes.CDLL:
    """Hook a function of ``native/hooks.c``; the caller keeps what is returned, and the table."""
    library = ctypes.CDLL(str(build_native("hooks")))
    binding = _binding()
    handle = binding.uc_hook_h()
    status = binding.uclib.uc_hook_add(
        engine._uch,
        ctypes.byref(handle),
        kinds,
        ctypes.cast(getattr(library, function), ctypes.c_void_p),
        ctypes.c_void_p(table.ctypes.data),
        ctypes.c_uint64(1),
        ctypes.c_uint64(0),  # an empty range means everywhere
    )
    if status != 0:
        raise EmulatorError(f"unicorn refused the hook {function} (error {status})")
    return library
