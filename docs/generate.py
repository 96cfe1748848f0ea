"""Write the parts of the documentation that are read off the code and the kept figures.

    python -m docs.generate

writes `docs/operators.md`, `docs/cli.md`, the table of results in `README.md`, and what techniques
of training reached in the pages about them. A test says when they are stale.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import typer

from docs import figures
from smidgen.cli import app
from smidgen.ops import Op, Unsupported, all_ops

REPO = Path(__file__).resolve().parent.parent
OPERATORS = REPO / "docs" / "operators.md"
CLI = REPO / "docs" / "cli.md"
README = REPO / "README.md"
FIGURES = REPO / "benchmarks" / "firmware.md"

_HEAD = """\
# Operators

Made by `python -m docs.generate` from `src/smidgen/ops/`. Names and attributes are LiteRT's;
tensors are channels-last. The last column says what the C takes: int4 are the weights of an int8
layer, weights of an int16 layer are int8, *any* is an operator that only moves elements. Each has a
portable kernel; those that take most of the time have others besides, for cores with DSP
instructions and for small cores.
SHAPE, RANK, RANGE, FILL, ZEROS_LIKE and DENSIFY of a `.tflite` file need no operator: shapes are
fixed, so that what they compute is worked out as the file is read, as is arithmetic on shapes,
sparse constants and those in float16.
[Verify](verify.md) says how exact each operator is on each runtime.

| operator | what it computes | attributes | in C |
|---|---|---|---|
"""


def operators() -> str:
    """The page of operators."""
    return _HEAD + "".join(_row(name, op) for name, op in all_ops().items())


def _row(name: str, op: type[Op]) -> str:
    what = _cell((op.__doc__ or "").strip().split("\n\n")[0])
    attributes = ", ".join(f"`{f.name}`" for f in dataclasses.fields(op))  # type: ignore[arg-type]
    return f"| {name} | {what} | {attributes} | {_kernels(op)} |\n"


def _kernels(op: type[Op]) -> str:
    if isinstance(op.kernels, Unsupported):
        return f"none: {_cell(op.kernels.why)}"
    symbols = "".join(k.symbol for k in op.kernels if not k.alias)
    found = [word for word in ("int8", "int4", "int16", "float32") if word in symbols]
    if "bytes" in symbols and found:
        found.insert(0, "int8")
    return ", ".join(found) or "any"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


_CLI_HEAD = """\
# Command line

Made by `python -m docs.generate` from `src/smidgen/cli/`; `smidgen COMMAND --help` says the same.

Every command takes `--json`, which prints figures, and errors too, for programs to read. It exits
with 0, with 1 when a check failed (does not fit, does not agree), or with 2 when the input was bad.
Nothing is left half-written.
"""


def cli() -> str:
    """The page of commands."""
    group = typer.main.get_command(app)
    commands = group.commands.items()  # type: ignore[attr-defined]
    return _CLI_HEAD + "".join(_command(name, command) for name, command in commands)


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["smidgen", name, *(a.name.upper() for a in arguments)])
    rows = [f"| `{p.name.upper()}` | {_cell(p.help)} | |" for p in arguments]
    rows += [_option(p) for p in options]
    table = "\n".join(["| | | default |", "|---|---|---|", *rows])
    return f"\n## {name}\n\n`{usage}`\n\n{_cell(inspect.cleandoc(command.help))}\n\n{table}\n"


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    default = option.default
    shown = "" if default in (None, False) else option.opts[0] if default is True else default
    return f"| {names} | {_cell(option.help)} | {f'`{shown}`' if shown else ''} |"


def results(figures: str) -> str:
    """The README's table, from the figures that `python -m benchmarks firmware` keeps.

    Args:
        figures: The text of `benchmarks/firmware.md`.

    Returns:
        A Markdown table.
    """
    exact, sizes, *_ = _tables(figures)
    different = {row["model"]: row for row in exact}
    runs = re.search(r"over ([\d,]+) random.* over (\d+), every", figures)
    assert runs, "benchmarks/firmware.md says how many inputs were compared"
    lines = [
        "| model | code, bytes | constants | RAM, bytes | instructions | outputs unlike TFLM's |",
        "|---|---|---|---|---|---|",
    ]
    for row in sizes:
        name = row["model"]
        if name.endswith(" shrunk") and row["constants"] == _plain(sizes, name)["constants"]:
            continue  # nothing to fold in this model
        code_share, code_of = row["of TFLM's"].split(" of ")
        ram_share, ram_of = row["of TFLM's 2"].split(" of ")
        unlike = "`shrink` is exact"
        if name in different:
            host, chip = different[name]["host"], different[name]["Cortex-M4"]
            unlike = f"{host} bytes in {runs[1]} runs, {chip} in {runs[2]} emulated"
        cells = (
            name,
            f"{code_of} → **{row['code']}** ({code_share})",
            row["constants"],
            f"{ram_of} → **{row['RAM']}** ({ram_share})",
            f"{row['instructions']} ({row[_LAST_SHARE]})",
            unlike,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_LAST_SHARE = "of TFLM's 3"


def _plain(rows: list[dict[str, str]], shrunk: str) -> dict[str, str]:
    return next(r for r in rows if r["model"] == shrunk.removesuffix(" shrunk"))


def _tables(text: str) -> list[list[dict[str, str]]]:
    """Every table of a Markdown text; a column name that comes again gets a number."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[c.strip() for c in line.strip("|").split("|")] for line in block.splitlines()]
        names: list[str] = []
        for name in rows[0]:
            again = sum(n == name or n.startswith(f"{name} ") for n in names)
            names.append(f"{name} {again + 1}" if again else name)
        found.append([dict(zip(names, row, strict=True)) for row in rows[2:]])
    return found


def readme() -> str:
    """The README with its table of results renewed."""
    text = README.read_text(encoding="utf-8")
    begin, end = "<!-- results: python -m docs.generate -->\n", "<!-- end of results -->"
    before, rest = text.split(begin)
    table = results(FIGURES.read_text(encoding="utf-8"))
    return f"{before}{begin}{table}{end}{rest.split(end, 1)[1]}"


def main() -> None:
    """Write what is stale."""
    pages = [(REPO / "docs" / name, figures.page(name)) for name in figures.PAGES]
    for path, text in ((OPERATORS, operators()), (CLI, cli()), (README, readme()), *pages):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(REPO)}")


if __name__ == "__main__":
    main()
