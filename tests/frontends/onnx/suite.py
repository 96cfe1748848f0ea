"""ONNX's own conformance cases, from the onnx package, through Smidgen.

    python -m tests.frontends.onnx.suite            # prints what fails, and a summary
    python -m tests.frontends.onnx.suite --write    # renews docs/onnx-suite.md

A case is a model of one or a few nodes with inputs and expected outputs. Its operands are all
inputs of the model, weights and shapes too; graphs have these as constants. So a case is tried
first as it is, then with all inputs but the first fixed to their values, and last with every
input fixed, which tests the working out of constants.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
WAYS = ("as it is", "other operands fixed", "worked out")
PAGE = Path(__file__).parents[3] / "docs" / "onnx-suite.md"


@dataclass(frozen=True)
class Case:
    """A model with pairs of inputs and outputs."""

    name: str
    kind: str
    model: Any
    data: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float


@dataclass(frozen=True)
class Outcome:
    """How a case went: `way` it passed in, or `refusal`, or else `failure`."""

    case: Case
    way: str = ""
    refusal: str = ""
    failure: str = ""

    @property
    def operators(self) -> list[str]:
        return sorted({node.op_type for node in self.case.model.graph.node})


def cases() -> Iterator[Case]:
    """Every case that ships inside the onnx package."""
    yield from _node_cases()
    yield from _model_cases()


def _node_cases() -> Iterator[Case]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    for case in found:
        data = [(list(inputs), list(outputs)) for inputs, outputs in case.data_sets]
        yield Case(case.name, "node", case.model, data, case.rtol, case.atol)


def _model_cases() -> Iterator[Case]:
    import onnx
    from onnx.backend.test.loader import load_model_tests

    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for case in load_model_tests(kind=kind):
            folder = Path(case.model_dir)
            model = onnx.load(folder / "model.onnx")
            data = [
                (_tensors(one, "input", model.graph.input), _tensors(one, "output", None))
                for one in sorted(folder.glob("test_data_set_*"))
            ]
            yield Case(case.name, kind, model, data, case.rtol, case.atol)


def _tensors(folder: Path, what: str, _: Any) -> list[Any]:
    import onnx

    arrays: list[Any] = []
    for place in range(len(list(folder.glob(f"{what}_*.pb")))):
        tensor = onnx.TensorProto()
        try:
            tensor.ParseFromString((folder / f"{what}_{place}.pb").read_bytes())
            arrays.append(onnx.numpy_helper.to_array(tensor))
        except Exception:  # a sequence or an optional value, which no graph has
            arrays.append(None)
    return arrays


def run_case(case: Case) -> Outcome:
    """Try the case in each way until one is not refused."""
    from smidgen.errors import ModelFileError, UnsupportedModelError

    initializers = {t.name for t in case.model.graph.initializer}
    names = [i.name for i in case.model.graph.input if i.name not in initializers]
    refusal = ""
    if any(_beyond_float32(a) for inputs, _ in case.data for a in inputs):
        return Outcome(case, refusal="its numbers are beyond float32, which graphs compute in")
    for way, count in zip(WAYS, (len(names), 1, 0), strict=True):
        if way != WAYS[0] and count >= len(names):
            continue
        try:
            failure = _compare(case, names, count)
        except UnsupportedModelError as error:
            refusal = refusal or _reason(error, case)
            continue
        except ModelFileError as error:
            return Outcome(case, failure=f"called damaged: {error}")
        except Exception as error:  # a traceback is what this looks for
            return Outcome(case, failure=f"{type(error).__name__}: {error}")
        return Outcome(case, way=way) if not failure else Outcome(case, failure=failure)
    return Outcome(case, refusal=refusal)


def _beyond_float32(value: Any) -> bool:
    array = _plain(value)
    if array is None or array.dtype != np.float64:
        return False
    with np.errstate(over="ignore"):
        return bool((np.isfinite(array) & ~np.isfinite(array.astype(np.float32))).any())


def _compare(case: Case, names: list[str], dynamic: int) -> str:
    """Load and run; "" if the outputs are as expected."""
    import smidgen

    for inputs, outputs in case.data:
        arrays = [_plain(a) for a in inputs]
        given = dict(zip(names, arrays, strict=False))
        fixed = {n: a for n, a in list(given.items())[dynamic:] if a is not None}
        fixed |= {n: a for n, a in given.items() if a is not None and not a.size}
        shapes = {n: a.shape for n, a in list(given.items())[:dynamic] if _open(case, n, a)}
        graph = smidgen.load(case.model, shapes=shapes, fixed=fixed)
        feed = [_fed(graph, n, given[n]) for n in graph.inputs]
        with np.errstate(all="ignore"):
            got = smidgen.run(graph, feed)
        for name, mine, want in zip(graph.outputs, got, outputs, strict=True):
            failure = _difference(graph, name, mine, want, case)
            if failure:
                return failure
    return ""


def _open(case: Case, name: str, array: Any) -> bool:
    """Whether the model leaves a dimension of the input open, which its data then decides."""
    (info,) = (i for i in case.model.graph.input if i.name == name)
    dims = info.type.tensor_type.shape.dim
    known = all(d.HasField("dim_value") and d.dim_value > 0 for d in dims)
    return array is not None and not known and array.ndim == len(dims) and array.size > 0


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind not in "fiub":
        return value if value.dtype.kind in "OUS" else _widened(value)
    if isinstance(value, np.ndarray) or value is None:
        return value
    if isinstance(value, (np.generic, int, float)):
        return np.asarray(value)
    import onnx

    if isinstance(value, onnx.TensorProto):
        return _plain(onnx.numpy_helper.to_array(value))
    return None


def _widened(value: Array) -> Array:
    """Elements of a type that numpy does not have (bfloat16, int4) in the one that holds them."""
    return value.astype(np.int8 if "int" in str(value.dtype) else np.float32)


def _fed(graph: Any, name: str, array: Array) -> Array:
    """An input as the graph takes it: with a batch axis, channels last, in its element type."""
    type = graph.type(name)
    batched = array if array.shape[:1] == (1,) else array[None]
    if name in graph.channels_first:
        batched = np.moveaxis(batched, 1, -1)
    if type.dtype == "int8" and array.dtype == np.uint8:
        return (batched.astype(np.int16) - 128).astype(np.int8)
    return np.ascontiguousarray(batched.astype(type.dtype))


def _difference(graph: Any, name: str, mine: Array, want: Any, case: Case) -> str:
    expected = np.asarray(_plain(want))
    if mine.size != expected.size:
        return f"{name} has the shape {mine.shape}, not {expected.shape}"
    if mine.dtype == np.int8 and expected.dtype == np.uint8:
        mine = (mine.astype(np.int16) + 128).astype(np.uint8)
    if name in graph.channels_first:
        mine = np.moveaxis(mine, -1, 1)
    mine = mine.reshape(expected.shape)
    quantized = graph.type(name).quant is not None
    if quantized:
        wrong = np.abs(mine.astype(np.int64) - expected.astype(np.int64)).max(initial=0)
        return f"{name} differs by {wrong} steps" if wrong > 1 else ""
    with np.errstate(all="ignore"):
        mine = mine.astype(expected.dtype)
        close = np.allclose(
            mine.astype(np.float64),
            expected.astype(np.float64),
            rtol=max(case.rtol, 1e-2 if _is_bfloat16(want) else 1e-3),
            atol=max(case.atol, 1e-6),
            equal_nan=True,
        )
    return "" if close else f"{name} is {mine.ravel()[:4]}, not {expected.ravel()[:4]}"


def _is_bfloat16(value: Any) -> bool:
    """Whether what is expected has 8 bits of mantissa: graphs compute it in float32."""
    return str(getattr(value, "dtype", "")) == "bfloat16" or getattr(value, "data_type", 0) == 16


def _reason(error: Any, case: Case) -> str:
    """A refusal without what is particular to the case."""
    message = str(error.message).split(" (and further down")[0]
    message = re.sub(r"[(\[][-\d., ]*[)\]]", "(...)", message)
    message = re.sub(r"its equation is .*", "its equation is no matrix product", message)
    if message == "this operator is not supported":
        at = re.search(r"\((\w+)[,)]", error.where or "")
        return f"operators without a rule: {at[1]}" if at else message
    return re.sub(r"its output '.*' is", "an output that it has is", message)


def page(outcomes: list[Outcome]) -> str:
    """The page of the documentation."""
    import onnx

    from smidgen.frontends.onnx.operators import rules

    counts = Counter(outcome.way or "refused" for outcome in outcomes)
    passed = sum(counts[way] for way in WAYS)
    lines = [HEAD.format(onnx=onnx.__version__, passed=passed, all=len(outcomes))]
    for way, what in zip(WAYS, MEANING, strict=True):
        lines.append(f"| {way} | {what} | {counts[way]} |")
    names = [f"{domain}.{name}" if domain else name for domain, name in sorted(rules())]
    lines += [f"| refused | see below | {counts['refused']} |", "", "## Operators", ""]
    lines += [f"Smidgen has a rule for these {len(names)}: {', '.join(names)}.", ""]
    lines += [OPERATORS, "", "| operator | passed | refused |", "|---|---|---|"]
    operators: dict[str, Counter[bool]] = {}
    for outcome in outcomes:
        for name in outcome.operators:
            operators.setdefault(name, Counter())[bool(outcome.way)] += 1
    for name, seen in sorted(operators.items()):
        lines.append(f"| {name} | {seen[True] or ''} | {seen[False] or ''} |")
    lines += ["", "## Refusals", "", REFUSALS, "", "| reason | cases |", "|---|---|"]
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.refusal:
            reasons.setdefault(outcome.refusal, []).append(outcome.case.name)
    for reason, names in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        shown = ", ".join(name.removeprefix("test_") for name in names)
        lines.append(f"| {reason.replace('|', ' ')} | {len(names)}: {shown} |")
    return "\n".join(lines) + "\n"


HEAD = """\
# ONNX's own cases

Made by `make onnx-suite`. The onnx package ({onnx} here) ships models of one or a few nodes with
inputs and expected outputs. **{passed} of {all} pass, none gives a wrong result**, and each of the
others is refused with a reason. Outputs are compared as ONNX does, within 0.1 % (integers exactly,
quantized ones within one step).

Every operand of a case is an input of its model, weights and shapes too, which graphs have as
constants. So a case is tried as it is, then with all inputs but the first fixed to their values,
and then with every input fixed.

| way | what that tests | cases |
|---|---|---|"""
MEANING = (
    "every input is one of the graph",
    "the first input is one of the graph, the others are constants",
    "constants are worked out when the model is loaded",
)
OPERATORS = "Cases by the operators in them; a refused case may be refused for another operator."
REFUSALS = "Why cases are refused, and which."


def run_all(kinds: tuple[str, ...] = ()) -> list[Outcome]:
    """Every case, or those of some kinds."""
    return [run_case(case) for case in cases() if not kinds or case.kind in kinds]


def main() -> None:
    chosen = [a for a in sys.argv[1:] if not a.startswith("-")]
    outcomes = [
        run_case(case) for case in cases() if not chosen or any(c in case.name for c in chosen)
    ]
    for outcome in outcomes:
        if outcome.failure:
            print("FAIL", outcome.case.name, outcome.failure[:300])
        elif chosen or "-v" in sys.argv:
            print(outcome.case.name, "|", outcome.way or outcome.refusal)
    if "--write" in sys.argv:
        assert not any(outcome.failure for outcome in outcomes), "some cases fail"
        PAGE.write_text(page(outcomes), encoding="utf-8")
    print(Counter(o.way or ("FAILED" if o.failure else "refused") for o in outcomes))
    if "-r" in sys.argv:
        for reason, count in Counter(o.refusal for o in outcomes if o.refusal).most_common(150):
            print(count, reason[:200])


if __name__ == "__main__":
    main()
