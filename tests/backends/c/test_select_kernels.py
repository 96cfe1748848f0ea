"""Which kernels are chosen: the first that holds, or what is worth most of the flash."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from smidgen import compile
from smidgen.backends.c import select_kernels as selection
from smidgen.backends.c.calibrate import Fit, fit_costs, measurable, to_toml
from smidgen.backends.c.costs import COSTS, Costs, load_costs, tomllib
from smidgen.interpreter import random_inputs
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import Kernel, get_op
from smidgen.ops.conv_2d import Conv2D


def network(channels: list[int], size: int = 4) -> Graph:
    """Pointwise convolutions one behind the other."""
    rng = np.random.default_rng(0)
    quant = QuantParams.per_tensor(0.1, 0)
    builder = GraphBuilder("network")
    x = builder.input("x", TensorType((1, size, size, channels[0]), "int8", quant))
    for c_in, c_out in itertools.pairwise(channels):
        w = builder.constant(
            rng.integers(-127, 128, (c_out, 1, 1, c_in)).astype(np.int8),
            quant=QuantParams.per_channel(np.full(c_out, 0.001), 0),
        )
        x = builder.add(get_op("CONV_2D")(), [x, w, None], quant=quant)
    return builder.build([x])


def kernel(name: str, growth: int, *, refuses: str | None = None) -> Kernel:
    """A kernel with `growth` bytes of constants for each of the layer's weights."""

    def constants(site: Any) -> dict[str, Any]:
        return {"table": np.zeros(growth * site.input(1).size, np.int8)}

    return Kernel(
        f"sm_{name}",
        "conv_2d_int8.h",
        guard=lambda site: refuses,
        params=constants,
        arguments=(0,),
        work=lambda site: {"call": 1, "mac": site.input(1).size},
    )


COSTS_OF_FAKES = Costs(
    "cortex-m4",
    {
        "runtime": {"code": 100},
        "sm_plain": {"code": 1000, "call": 50, "mac": 10},
        "sm_large": {"code": 1000, "call": 50, "mac": 4},
        "sm_quick": {"code": 2000, "call": 10_000, "mac": 1},
    },
)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Conv2D, "kernels", (kernel("plain", 1), kernel("large", 3), kernel("quick", 4))
    )
    monkeypatch.setattr(selection, "load_costs", lambda core: COSTS_OF_FAKES)


def chosen(graph: Graph, **options: Any) -> list[str]:
    return [step.kernel.symbol for step in selection.select_kernels(graph, **options)]


@pytest.mark.usefixtures("fakes")
def test_the_first_that_holds_unless_speed_is_asked_for() -> None:
    graph = network([8, 8, 64, 64])  # 64, 512 and 4,096 weights
    for optimize in ("balanced", "flash"):
        assert chosen(graph, optimize=optimize, flash=0) == ["sm_plain"] * 3
    assert chosen(graph, optimize="speed") == ["sm_large", "sm_large", "sm_quick"]


@pytest.mark.usefixtures("fakes")
def test_flash_goes_to_the_layers_that_gain_most() -> None:
    graph = network([8, 8, 64, 64])
    least = 100 + 1000 + 64 + 512 + 4096
    assert chosen(graph, optimize="speed", flash=least) == ["sm_plain"] * 3
    # The large kernel's code and the largest layer: most cycles for each byte.
    first = least + 1000 + 2 * 4096
    assert chosen(graph, optimize="speed", flash=first - 1) == ["sm_large", "sm_large", "sm_plain"]
    assert chosen(graph, optimize="speed", flash=first) == ["sm_plain", "sm_plain", "sm_large"]
    everything = first + 2 * (64 + 512)
    assert chosen(graph, optimize="speed", flash=everything) == ["sm_large"] * 3


@pytest.mark.usefixtures("fakes")
def test_no_budget_is_ever_exceeded() -> None:
    graph = network([4, 30, 7, 64, 16, 16])
    least, before = 1100 + 4 * 30 + 30 * 7 + 7 * 64 + 64 * 16 + 16 * 16, np.inf
    for flash in range(least, least + 20_000, 500):
        steps = selection.select_kernels(graph, optimize="speed", flash=flash)
        size = sum(s.kernel.flash(s.site) for s in steps)
        assert size + COSTS_OF_FAKES.code(s.kernel for s in steps) <= flash
        cycles = sum(COSTS_OF_FAKES.cycles(s.kernel, s.site) or 0 for s in steps)
        assert cycles <= before * 1.5  # greedy: more flash may be spent worse, but not much
        before = min(before, cycles)


def test_what_refuses_or_was_not_measured_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = kernel("unknown", 1)
    kernels = (kernel("plain", 1), kernel("large", 3, refuses="no"), unknown)
    monkeypatch.setattr(Conv2D, "kernels", kernels)
    monkeypatch.setattr(selection, "load_costs", lambda core: COSTS_OF_FAKES)
    assert chosen(network([8, 8]), optimize="speed") == ["sm_plain"]
    newer = replace(kernels[1], guard=lambda site: None, work=lambda site: {"turn": 1.0})
    monkeypatch.setattr(Conv2D, "kernels", (kernels[0], newer))
    assert chosen(network([8, 8]), optimize="speed") == ["sm_plain"]


def test_the_fit_finds_what_cycles_are_made_of() -> None:
    rng = np.random.default_rng(0)
    work = rng.integers(1, 1000, (20, 3)).astype(float)
    costs, worst = fit_costs(work, work @ [3.0, 0.5, 40.0])
    np.testing.assert_allclose(costs, [3.0, 0.5, 40.0], atol=1e-6)
    assert worst < 1e-6
    costs, worst = fit_costs(work, np.maximum(1, work @ [3.0, -0.5, 40.0]))
    assert costs[1] == 0 and (costs >= 0).all() and worst > 0


def test_costs_are_written_as_they_are_read() -> None:
    fits = [Fit("cortex-m4", "sm_x", {"code": 12.0, "call": 3.25}, 0.01, 4)]
    assert tomllib.loads(to_toml(fits)) == {"cortex-m4": {"sm_x": {"code": 12.0, "call": 3.25}}}


def test_costs_in_use_cover_every_kernel_that_states_its_work() -> None:
    tables = tomllib.loads(COSTS.read_text(encoding="utf-8"))
    for core, table in tables.items():
        assert table["runtime"]["code"] > 0
        for k in measurable():
            assert k.probes is not None
            graph = next(iter(k.probes())).graph()
            site = selection.select_kernel(graph, graph.nodes[0], frozenset({"dsp"})).site
            assert load_costs(core).cycles(k, site) is not None, "run: smidgen calibrate"


@pytest.mark.emulator
@pytest.mark.toolchain
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "nucleo-h743zi2"])
def test_estimates_are_close_to_what_the_emulator_counts(board: str) -> None:
    graph = network([24, 48, 8], size=12)
    firmware = compile(graph, board, optimize="speed")
    costs = load_costs(firmware.board.core)
    runs = firmware.profile(random_inputs(graph, 1))
    for step, run in zip(firmware.arena.calls, runs, strict=True):
        assert costs.cycles(step.kernel, step.site) == pytest.approx(run.cycles, rel=0.1)


def test_little_is_left_to_the_plainest_kernels() -> None:
    """Three input channels are no run of pixels; that layer does 1/700 of the work."""
    graph = network([3, 4, 96, 96])
    chosen = {
        level: [
            step.kernel.symbol
            for step in selection.select_kernels(graph, features=["dsp"], optimize=level)
        ]
        for level in ("speed", "balanced", "flash")
    }
    large = "sm_conv_2d_int8_paired_1x1"
    assert chosen["speed"] == ["sm_conv_2d_int8_paired", large, large]
    assert chosen["balanced"] == chosen["flash"] == ["sm_conv_2d_int8", large, large]


def test_one_layer_alone_is_never_little() -> None:
    graph = network([3, 4])
    (step,) = selection.select_kernels(graph, features=["dsp"])
    assert step.kernel.symbol == "sm_conv_2d_int8_paired"
