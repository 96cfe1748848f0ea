"""The pages of the documentation: their code, their links, their headings."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPO

# What a reader sees first to last; figures and the licence are no prose.
PAGES = sorted(
    [
        *(REPO / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        REPO / "examples/README.md",
        *(REPO / "docs").rglob("*.md"),
    ]
)

_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    """How a test calls a page."""
    return str(page.relative_to(REPO))


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Args:
        line: number of its first line.
        language: what follows the fence.
        title: the file it stands for, "" if none.
        text: the code.
    """

    line: int
    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(text[: m.start(3)].count("\n") + 1, m[1], m[2] or "", m[3])
        for m in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(block: Block) -> list[tuple[str, str]]:
    """What a console block has its reader type, and what it says is printed."""
    typed = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not typed[0], f"line {block.line}: a console block begins with a command"
    return [(c.split("\n", 1)[0], c.split("\n", 1)[1]) for c in typed[1:]]


def links(page: Path) -> list[str]:
    """Targets of the links that stay in the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page).replace("\n", " "))
    return [target for target in found if not re.match(r"\w+:", target)]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings that GitHub and MkDocs give alike."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {a for a in map(_github, titles) if a in set(map(_mkdocs, titles))}


def _github(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _mkdocs(title: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())
