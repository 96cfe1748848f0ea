"""Firmware and host C are the same program: in float, too, they compute the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smidgen.backends.c.compile import compile
from smidgen.interpreter import interpret, random_inputs
from smidgen.targets.board import load_board
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


@pytest.mark.emulator
@pytest.mark.toolchain
def test_a_core_that_unicorn_lacks_runs_on_qemu() -> None:
    board = replace(load_board("nucleo-u575zi-q"), name="m55", core="cortex-m55", fpu="double")
    for graph in examples(graphs(3, 8, "int8"), 3, "helium"):
        inputs = random_inputs(graph, 2)
        run = compile(graph, board).run(inputs)
        assert run.on.startswith("qemu")
        assert run.instructions
        for got, want in zip(run.outputs, interpret(graph, inputs), strict=True):
            np.testing.assert_array_equal(got, want)
