"""What is printed for people: sizes, inputs, and what each layer costs beside the core's limit."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from smidgen import compile, quantize, tables
from smidgen.errors import DataError, SmidgenError
from smidgen.targets.cores import CORES
from tests.transforms.quantize.networks import classifier, images


def printed(part) -> str:
    console = Console(width=160, no_color=True)
    with console.capture() as capture:
        console.print(part, highlight=False)
    return capture.get()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (None, None),
        ("65536", 65536),
        ("64KB", 65536),
        ("64 kb", 65536),
        ("1.5MB", 1572864),
        ("10 KiB", 10240),
        ("0", 0),
    ],
)
def test_sizes(text, size):
    assert tables.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "lots", "64QB", "-3KB", "1,000", "KB", "1e3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(SmidgenError, match="64KB"):
        tables.parse_bytes(text)


LAYERS = [
    {"layer": "CONV", "instructions": 900, "cycles_estimated": 1000, "macs": 2000,
     "cycles_per_mac_estimated": 0.5},
    {"layer": "ADD", "instructions": 100, "cycles_estimated": 200, "macs": 0,
     "cycles_per_mac_estimated": None},
]  # fmt: skip


def test_the_limit_stands_beside_every_layer_with_macs():
    lines = printed(tables.profile(LAYERS, 0.5)).splitlines()
    conv, add, total = (next(x for x in lines if name in x) for name in ("CONV", "ADD", "all"))
    assert [c.strip() for c in conv.split("│")[1:-1]] == [
        "CONV", "900", "1,000", "2,000", "0.50", "0.5",
    ]  # fmt: skip
    assert add.count("–") == 3
    assert [c.strip() for c in total.split("│")[2:-1]] == ["1,000", "1,200", "2,000", "0.60", "0.5"]


def test_without_a_limit_or_an_estimate_nothing_is_invented():
    text = printed(tables.profile(LAYERS, None))
    assert "at best" not in text
    unknown = [{**x, "cycles_estimated": None, "cycles_per_mac_estimated": None} for x in LAYERS]
    total = next(x for x in printed(tables.profile(unknown, 0.5)).splitlines() if "all" in x)
    assert [c.strip() for c in total.split("│")[2:-1]] == ["1,000", "–", "2,000", "–", "–"]


def test_which_cores_have_a_limit():
    limits = {name: core.cycles_per_mac for name, core in CORES.items()}
    assert limits["cortex-m4"] == limits["cortex-m7"] == limits["cortex-m33"] == 0.5
    assert limits["cortex-m0plus"] is limits["cortex-m3"] is limits["rv32imc"] is None
    assert limits["cortex-m55"] is None  # Helium does more, and its cycles are not estimated


@pytest.mark.emulator
def test_a_profile_adds_up():
    graph = quantize(classifier(), images())
    firmware = compile(graph)
    x = np.zeros((1, *graph.input_types[0].shape[1:]), np.int8)
    run = firmware.run(x, profile=True)
    macs = {step.value: step.macs for step in run.steps}
    assert macs["stem"] == 8 * 8 * 8 * 27
    assert macs["spread"] == 8 * 8 * 8 * 9
    assert macs["softmax"] == 0
    assert sum(s.cycles for s in run.steps) == pytest.approx(run.cycles, rel=0.05)
    with pytest.raises(SmidgenError, match="emulator"):
        firmware.run(x, "host", profile=True)


def test_inputs_from_a_file(tmp_path):
    graph = quantize(classifier(), images())
    np.save(tmp_path / "x.npy", images(3))
    assert tables.read_inputs(graph, tmp_path / "x.npy")[0].shape == (3, 8, 8, 3)
    assert tables.read_inputs(graph, None, 5)[0].shape == (5, 8, 8, 3)
    np.savez(tmp_path / "x.npz", x=images(4))
    assert tables.read_inputs(graph, tmp_path / "x.npz")[0].shape == (4, 8, 8, 3)
    np.savez(tmp_path / "two.npz", x=images(3), x1=images(3))
    (tmp_path / "archive.npy").write_bytes((tmp_path / "x.npz").read_bytes())
    np.save(tmp_path / "scalar.npy", np.float32(3))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:50])
    for name in ("two.npz", "archive.npy", "scalar.npy", "objects.npy", "cut.npy"):
        with pytest.raises(DataError):
            tables.read_inputs(graph, tmp_path / name)
