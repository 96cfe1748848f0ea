"""Firmware and host C are the same program: in float, too, they compute the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.backends.c.firmware import compile
from smidgen.interpreter import random_inputs
from tests.examples import examples
from tests.random_graphs import graphs

GRAPHS = 6


@pytest.mark.emulator
@pytest.mark.toolchain
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "arduino-zero", "esp32-c3-devkitm-1"])
def test_float_firmware_computes_the_bits_that_the_host_does(board: str) -> None:
    """With an FPU, without one, and on RISC-V."""
    for graph in examples(graphs(3, 8, "float32"), GRAPHS, "float firmware"):
        firmware = compile(graph, board)
        inputs = random_inputs(graph, 2)
        chip = firmware.run(inputs, on="emulator").outputs
        for got, want in zip(chip, firmware.run(inputs, on="host").outputs, strict=True):
            numbers = ~np.isnan(want)
            assert (np.isnan(got) == ~numbers).all(), graph
            assert got[numbers].tobytes() == want[numbers].tobytes(), graph
