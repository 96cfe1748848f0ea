"""Links, headings, generated parts, names of commands: what a page says of the project is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import smidgen
from docs import figures, generate, reference
from smidgen.cli import app
from tests.conftest import REPO
from tests.docs.pages import PAGES, anchors, links, name
from tests.ops.test_matrix import EXCEPTIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(REPO), link
        assert not anchor or anchor in anchors(target), link


def test_the_site_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "flash_bytes" in (tmp_path / "api" / "index.html").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation() -> None:
    nav = (REPO / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    shown = set(re.findall(r": (\S+\.md)$", nav, re.MULTILINE))
    pages = {str(p.relative_to(REPO / "docs")) for p in (REPO / "docs").rglob("*.md")}
    assert shown == pages | {
        "changelog.md",
        "contributing.md",
        "api.md",
    }  # and the figures, by hook


@pytest.mark.parametrize(
    ("path", "made"),
    [
        (generate.OPERATORS, generate.operators),
        (generate.CLI, generate.cli),
        (generate.README, generate.readme),
        *((REPO / "docs" / n, lambda n=n: figures.page(n)) for n in figures.PAGES),
    ],
    ids=["operators", "cli", "results", *figures.PAGES],
)
def test_generated_parts_are_not_stale(path: Path, made: Any) -> None:
    assert path.read_text(encoding="utf-8") == made(), "run python -m docs.generate"


def test_the_api_page_has_every_public_name_and_what_it_returns() -> None:
    page = reference.api()
    for name_ in (*set(smidgen.__all__) - {"__version__"}, *reference.RESULTS):
        entry = page.split(f"## {name_}\n\n")[1].split("\n## ")[0]
        assert len(entry) > 50, name_
    assert 'recipe: str | Recipe = "int8"'.replace('"', "'") in page


def test_commands_and_options_exist() -> None:
    """Wherever a page writes `smidgen COMMAND --option`, inside code or prose."""
    group: Any = typer.main.get_command(app)
    known = {c: {o for p in g.params for o in (*p.opts, *p.secondary_opts)}
             for c, g in group.commands.items()}  # fmt: skip
    seen = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"(?:^\$ |`)smidgen ([^`\n]+)", text, re.MULTILINE):
            command, *words = line.split()
            if command in ("COMMAND", "--help"):
                continue
            assert command in known, f"{name(page)}: smidgen {line}"
            seen.add(command)
            options = {word for word in words if re.match(r"--?[a-z]", word)} - {"--help"}
            assert options <= known[command], f"{name(page)}: smidgen {line}"
    assert seen == set(known)


def test_extras_and_make_targets_exist() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(project["project"]["optional-dependencies"])
    targets = set(re.findall(r"^([\w-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lists = re.findall(r"(?:smidgen|\.)\[([\w,]+)\]", text)
        assert set(",".join(lists).split(",")) - {""} <= extras, name(page)
        assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets, name(
            page
        )
    rows = re.findall(r"^\| `(\w+)` \|", (REPO / "docs/quickstart.md").read_text(), re.MULTILINE)
    assert set(rows) <= extras


def test_the_exceptions_of_litert_are_those_of_the_tests() -> None:
    page = (REPO / "docs/verify.md").read_text(encoding="utf-8")
    table = page.split("| operator | LiteRT BUILTIN_REF |\n|---|---|\n")[1].split("\n\n")[0]
    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE) == [
        op for op, runtime in EXCEPTIONS if runtime == "BUILTIN_REF"
    ]
    others = [cell for (_, runtime), cell in EXCEPTIONS.items() if runtime != "BUILTIN_REF"]
    assert all((cell.lsb, cell.rounding) == (0, "double") for cell in others)


def test_the_changelog_names_every_operator() -> None:
    text = (REPO / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [op for op in generate.all_ops() if not re.search(rf"\b{op}\b", text)] == []
