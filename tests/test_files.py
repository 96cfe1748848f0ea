"""Folders appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.files import new_folder, replace_file


def fill(out: Path, text: str, error: BaseException | None = None) -> None:
    with new_folder(out) as folder:
        (folder / "a.txt").write_text(text, encoding="utf-8")
        if error is not None:
            raise error


def test_a_folder_is_made_with_its_parents_and_replaced(tmp_path, monkeypatch):
    out = tmp_path / "a" / "b"
    fill(out, "one")
    (out / "left over").touch()
    monkeypatch.chdir(tmp_path / "a")
    fill(Path("b"), "two")
    assert {p.name: p.read_text() for p in out.iterdir()} == {"a.txt": "two"}
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), SystemExit(143)])
@pytest.mark.parametrize("before", [None, "old"])
def test_nothing_is_left_of_a_folder_that_was_not_finished(error, before, tmp_path):
    out = tmp_path / "out"
    if before:
        fill(out, before)
    with pytest.raises(type(error)):
        fill(out, "new", error)
    assert [p.name for p in tmp_path.iterdir()] == (["out"] if before else [])
    if before:
        assert (out / "a.txt").read_text() == before


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    out = tmp_path / "out"
    fill(out, "old")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="no"):
        fill(out, "new")
    assert (out / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "figures.json"
    for data in (b"one", b"two"):
        replace_file(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    path = tmp_path / "taken"
    path.mkdir()
    with pytest.raises(OSError, match="taken"):
        replace_file(path, b"data")
    assert list(tmp_path.iterdir()) == [path]
