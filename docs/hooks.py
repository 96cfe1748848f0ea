"""What `mkdocs build` needs besides `docs/`: pages that lie elsewhere, or in docstrings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from reference import api  # beside this file

REPO = Path(__file__).resolve().parent.parent
# Where they lie → where they are on the site. Pages link to the former, as the repository needs.
ELSEWHERE = {
    "../CHANGELOG.md": "changelog.md",
    "../CONTRIBUTING.md": "contributing.md",
    **{
        f"../benchmarks/{p.name}": f"figures/{p.name}" for p in sorted(REPO.glob("benchmarks/*.md"))
    },
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Navigate to the figures, whichever there are."""
    assert config.nav is not None
    config.nav.append({"Figures": [page for page in ELSEWHERE.values() if "/" in page]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and that of the Python API."""
    files.append(File.generated(config, "api.md", content=api()))
    for source, page in ELSEWHERE.items():
        path = str((REPO / "docs" / source).resolve())
        files.append(File.generated(config, page, abs_src_path=path))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to them hold on the site too."""
    for source, page in ELSEWHERE.items():
        markdown = markdown.replace(f"]({source}", f"]({page}")
    return markdown
