from __future__ import annotations

import re
from pathlib import Path

import pytest

from smidgen.errors import BoardError
from smidgen.targets import board as board_module
from smidgen.targets import list_boards, load_board
from smidgen.targets.cores import CORES, get_core

BOARDS = list_boards()

MINE = """
name = "mine"
title = "My own board"
mcu = "STM32F303"
core = "cortex-m4"
fpu = "single"
dsp = true
clock_mhz = 72
flash_bytes = 524_288
ram_bytes = 65_536
flash_origin = 0x0800_0000
ram_origin = 0x2000_0000
source = "a data sheet"
"""


def test_there_are_boards_of_every_core_we_ship_for() -> None:
    assert len(BOARDS) >= 12
    cores = {"cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "rv32imc", "rv32imac"}
    assert cores <= {b.core for b in BOARDS}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_is_plausible(board: board_module.Board) -> None:
    assert load_board(board.name) == board
    assert board.core in CORES
    assert 4 * 1024 <= board.ram_bytes <= board.ram_total_bytes <= 8 << 20
    assert 32 * 1024 <= board.flash_bytes <= 32 << 20
    assert 16 <= board.clock_mhz <= 1000
    assert board.title
    assert board.mcu
    assert len(board.source) > 10
    flash = range(board.flash_origin, board.flash_origin + board.flash_bytes)
    assert board.ram_origin not in flash


def test_files_are_called_as_their_boards() -> None:
    files = (Path(board_module.__file__).parent / "boards").glob("*.toml")
    assert sorted(path.name.removesuffix(".toml") for path in files) == sorted(
        board.name for board in BOARDS
    )


def test_an_unknown_board_names_the_nearest() -> None:
    with pytest.raises(BoardError, match=r"unknown board 'nucleo-l4r5'.*nucleo-l4r5zi"):
        load_board("nucleo-l4r5")
    with pytest.raises(BoardError, match=r"teensy-4\.0"):
        load_board("teensy")
    with pytest.raises(BoardError, match="raspberry-pi-pico"):
        load_board("zzz")


def test_case_and_underscores_do_not_matter() -> None:
    assert load_board("Nucleo_L4R5ZI").name == "nucleo-l4r5zi"


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE, encoding="utf-8")
    board = load_board(path)
    assert (board.name, board.ram_total_bytes, board.notes) == ("mine", 65_536, "")
    assert load_board(str(path)) == board
    assert board.memory.flash_origin == 0x08000000
    assert board.milliseconds(72_000) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("clock_mhz = 72", "clock_mhz = nan"), "clock_mhz = nan is not positive"),
        (("clock_mhz = 72", 'clock_mhz = "fast"'), "not of type int or float"),
        (("flash_bytes = 524_288", "flash_bytes = 0"), "flash_bytes = 0 is not positive"),
        (("ram_bytes = 65_536", "ram_bytes = true"), "ram_bytes = True is not of type int"),
        (("ram_bytes = 65_536", "ram_bytes = 8\nram_total_bytes = 4"), "at least ram_bytes"),
        (("ram_origin = 0x2000_0000", "ram_origin = -1"), "32-bit address"),
        (('mcu = "STM32F303"', ""), "'mcu' is missing"),
        (("dsp = true", "dsp = true\nspeed = 3"), "unknown field 'speed'"),
        (("dsp = true", "dsp = false"), "DSP extension, which the board lacks"),
        (('fpu = "single"', 'fpu = "none"'), r'set core = "cortex-m4\+nofp"'),
        (('fpu = "single"', 'fpu = "half"'), "fpu = 'half'"),
        (('core = "cortex-m4"', 'core = "cortex-m44"'), "unknown core 'cortex-m44'.*cortex-m4"),
        (("[", "["), "cannot read"),
    ],
)
def test_a_bad_file_says_what_is_wrong(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "bad.toml"
    text = MINE.replace(*change) if change[0] in MINE else MINE + change[1]
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BoardError, match=message) as caught:
        load_board(path)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="cannot read the board"):
        load_board(tmp_path / "none.toml")


def test_cores_agree_with_themselves() -> None:
    for core in CORES.values():
        hard = "-mfloat-abi=hard" in core.gcc_flags
        assert hard == (core.fpu != "none")
        assert any(flag.endswith("eabihf") for flag in core.zig_flags) == hard
        assert {f"-mcpu={core.name}", f"-march={core.name}"} & set(core.gcc_flags)
        assert re.fullmatch(r"armv\d(\.\d)?e?-m(\.main)?|armv7e-m|riscv32", core.architecture)
    assert get_core("Cortex-M0+") is CORES["cortex-m0plus"]
    assert get_core("cortex_m4") is CORES["cortex-m4"]
