"""The page of the Python API, made from signatures and docstrings when the site is built."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from importlib import import_module
from typing import Any

import smidgen

HEAD = """\
# Python API

Every name but those under *Results* is `smidgen.<name>`, imported when first used. Arrays hold n
samples, `(n, ...)`, in the model's own dtypes, channels last. Every error that is raised on purpose
is a `SmidgenError`; its kinds are in `smidgen.errors`.

In the examples, which are executed, `model` is a float graph, `int8` the same quantized, `data` its
`Dataset`, and `inputs` are what `int8` takes.
"""
# The order in which the main job needs them.
ORDER = (
    *("load", "signatures", "Dataset", "finetune", "prune", "student", "sensitivity"),
    *("quantize", "Recipe", "Rule", "train_quantized", "reconstruct"),
    *("shrink", "write_tflite"),
    *("compile", "Firmware", "verify", "random_inputs", "run", "Session", "evaluate"),
    *("describe", "squeeze", "Graph", "SmidgenError"),
)
RESULTS = {
    "Run": "smidgen.backends.c.run",
    "StepRun": "smidgen.backends.c.run",
    "Verification": "smidgen.verify",
    "Row": "smidgen.verify",
    "Score": "smidgen.evaluate",
    "Sensitivity": "smidgen.training.sensitivity",
    "Part": "smidgen.training.sensitivity",
    "Report": "smidgen.transforms.rewrites",
    "Squeezed": "smidgen.report.result",
    "Limit": "smidgen.report.result",
    "Stage": "smidgen.report.stage",
    "ModelFacts": "smidgen.facts",
    "LayerFacts": "smidgen.facts",
}
# Classes whose methods are for users; those of the others are for Smidgen itself.
WITH_METHODS = ("Dataset", "Firmware", "Graph", "Session")


def api() -> str:
    """The page."""
    public = set(smidgen.__all__) - {"__version__"}
    assert public == set(ORDER), f"in one place only: {public ^ set(ORDER)}"
    parts = [_entry(name, getattr(smidgen, name), _signature) for name in ORDER]
    parts.append("\n## Results\n\nWhat the functions return; nobody makes one.\n")
    for name, module in RESULTS.items():
        parts.append(_entry(name, getattr(import_module(module), name), lambda *_: "", "###"))
    return HEAD + "".join(parts)


def _entry(name: str, item: Any, signature: Any, level: str = "##") -> str:
    text = f"\n{level} {name}\n\n{signature(name, item)}{_docstring(item)}"
    if inspect.isclass(item):
        own = {n: member for n, member in vars(item).items() if not n.startswith("_")}
        kinds = (property, functools.cached_property)
        read = [
            f"- `{n}`: {_one_line(inspect.getdoc(member) or '')}"
            for n, member in own.items()
            if isinstance(member, kinds)
        ]
        if read:
            text += "\n**Properties**\n\n" + "\n".join(read) + "\n"
        if name in WITH_METHODS:
            methods = [
                (n, m) for n, m in own.items() if inspect.isfunction(getattr(m, "__func__", m))
            ]
            text += "".join(_entry(f"{name}.{n}", m, signature, "###") for n, m in methods)
    return text


def _signature(name: str, item: Any) -> str:
    if "Made by `" in (item.__doc__ or ""):
        return ""  # nobody calls it
    signature = inspect.signature(getattr(item, "__func__", item))
    rows, keyword_only = [], False
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            rows.append("*")
            keyword_only = True
        if p.name not in ("self", "cls"):
            rows.append(_parameter(p))
    result = signature.return_annotation
    end = f") -> {result}" if isinstance(result, str) and result != "None" else ")"
    line = f"{name}({', '.join(rows)}{end}"
    if len(line) > 88:
        line = "\n".join([f"{name}(", *(f"    {row}," for row in rows), end])
    return f"```text\n{line}\n```\n\n"


def _parameter(p: inspect.Parameter) -> str:
    text = f"{p.name}: {p.annotation}"
    if p.default is p.empty:
        return text
    plain = isinstance(p.default, (str, int, float, type(None)))
    return f"{text} = {p.default!r}" if plain else f"{text} = ..."


def _docstring(item: Any) -> str:
    """Google's sections as Markdown."""
    text = inspect.getdoc(item) or ""
    parts = re.split(r"^(Args|Attributes|Returns|Raises|Example):\n", text, flags=re.MULTILINE)
    lines = [parts[0].strip(), ""]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        body = textwrap.dedent(body).strip()
        if title == "Example":
            lines += [f"```pycon\n{body}\n```", ""]
        elif title == "Returns":
            lines += [f"**Returns**: {_one_line(body)}", ""]
        else:
            lines += [f"**{title}**", "", *map(_item, re.split(r"\n(?=\S)", body)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _item(entry: str) -> str:
    name, _, what = _one_line(entry).partition(": ")
    return f"- `{name}`: {what}" if what else f"- {name}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
