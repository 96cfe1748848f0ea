"""PyTorch: live `nn.Module`s and `.pt2` files of `torch.export.save` → Graph.

A live module is exported and saved in memory, and the same reader takes it from there: see
docs/adr/0013-exported-programs-without-pytorch.md.
"""

from __future__ import annotations

import json
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends import torch_reader
from smidgen.frontends._sandbox import run_reader
from smidgen.frontends.surveyed import Surveyed
from smidgen.ir import Graph

__all__ = ["from_torch_module", "is_torch_file", "is_torch_module", "load_torch", "survey_torch"]

SECONDS = 8.0  # for a file of a few megabytes; larger ones get more
MEMORY = 768 << 20
_OLD_PROGRAM = "/serialized_exported_program.json"  # before PyTorch 2.8
# A program, weights or pickles, TorchScript.
_MEMBERS = ("/archive_format", _OLD_PROGRAM[1:], "/data.pkl", "/constants.pkl")
_CLASSES = ("torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram")
EXAMPLE = "smidgen.load(model, example=(x,)) with x of the shape that the device takes, batch 1"


def is_torch_file(path: Path, head: bytes) -> bool:
    """Whether a file is PyTorch's: a zip by what it holds, a pickle by its first bytes or ending.

    Args:
        path: the file.
        head: its first bytes, 8 of them.
    """
    if head[:4] == b"PK\x03\x04":
        return any(n.endswith(_MEMBERS) or n in _MEMBERS for n in _members(path))
    return head[:1] == b"\x80" or path.suffix.lower() in (".pt2", ".pt", ".pth")


def load_torch(path: str | Path) -> Graph:
    """Load a `.pt2` file of `torch.export.save`; other files of PyTorch are refused.

    Nothing in the file is executed or unpickled, and PyTorch need not be installed. The file is
    read by a process of its own with limits on time and memory.

    Args:
        path: the file.

    Returns:
        A float32 graph with batch 1, named after the file.

    Raises:
        ModelFileError: if the file is damaged or contradicts itself.
        UnsupportedModelError: if it is sound but uses something that Smidgen does not have,
            naming the operator, the module and the line of code; or if it holds weights alone, or
            TorchScript.
    """
    path = Path(path)
    header, arrays = _read(path)
    return _graph(header, arrays, path.stem, path.name)


def survey_torch(path: Path) -> list[Surveyed]:
    """Every operator of a `.pt2` file, those that are not read with the reason and a way out.

    Raises:
        SmidgenError: it is no such file, or its inputs are not what graphs have.
    """
    from smidgen.frontends.torch_export.program import parse
    from smidgen.frontends.torch_export.survey import survey

    header, arrays = _read(path)
    return survey(parse(header["program"]), arrays)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """What the process that reads a file found in it."""
    names = _members(path)
    if not any(
        name.endswith(("/archive_format", _OLD_PROGRAM)) for name in ("/" + n for n in names)
    ):
        raise _refuse_other(path, names)
    size = path.stat().st_size
    output = run_reader(
        "smidgen.frontends.torch_reader",
        path,
        seconds=SECONDS + size / (20 << 20),
        memory=MEMORY + 8 * size,
    )
    with output:
        return _received(output)


def is_torch_module(source: object) -> bool:
    """Whether something is an `nn.Module` or an exported program; does not import PyTorch.

    Keras's models on its torch backend are modules too; they are Keras's.
    """
    names = [f"{cls.__module__}.{cls.__qualname__}" for cls in type(source).__mro__]
    if any(name.startswith("keras.") for name in names):
        return False
    return any(name in _CLASSES for name in names)


def from_torch_module(module: Any, example: Any) -> Graph:
    """Convert a live module, or an exported program.

    Args:
        module: an `nn.Module` in evaluation mode, or a `torch.export.ExportedProgram`.
        example: what `forward` is called with: tensors of batch 1. Not for an exported program.

    Returns:
        A float32 graph with batch 1, named after the module's class.

    Raises:
        UnsupportedModelError: if PyTorch cannot export the module, or it uses something that
            Smidgen does not have, naming the operator, the module and the line of code.
    """
    import torch

    name = type(module).__name__
    if isinstance(module, torch.export.ExportedProgram):
        program, name = module, "model"
    else:
        program = _export(module, example)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.pt2"
        torch.export.save(program.run_decompositions({}), str(path))
        with (Path(folder) / "arrays").open("w+b") as output:
            torch_reader.read(path, output)
            output.seek(0)
            header, arrays = _received(output)
    return _graph(header, arrays, name, name)


def _export(module: Any, example: Any) -> Any:
    """The exported program of a module in evaluation mode."""
    import torch

    name = type(module).__name__
    training = [path for path, part in module.named_modules() if part.training]
    if training:
        which = f"its module {training[0]!r}" if training[0] else "the model"
        raise UnsupportedModelError(
            f"{which} is in training mode", where=name, hint="call model.eval() first"
        )
    if example is None:
        raise UnsupportedModelError(
            "a live module does not say the shape of its input", where=name, hint=f"use {EXAMPLE}"
        )
    if isinstance(example, torch.Tensor):  # whose rows a tuple would take for tensors
        example = (example,)
    fast = torch.backends.mha.get_fastpath_enabled()
    # Attention's fast path is one opaque operator.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with _quiet():
            return torch.export.export(module, tuple(example))
    except Exception as error:  # PyTorch raises nearly every class for code it cannot trace
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UnsupportedModelError(
            f"PyTorch cannot export it ({lines[0][:200] if lines else type(error).__name__})",
            where=name,
            hint=f"make torch.export.export(model, example) work, then call {EXAMPLE}",
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _quiet() -> Any:
    """Without the warnings that PyTorch gives about its own code."""
    manager = warnings.catch_warnings()

    class Quiet:
        def __enter__(self) -> None:
            manager.__enter__()
            warnings.simplefilter("ignore")

        def __exit__(self, *error: object) -> None:
            manager.__exit__(*error)  # type: ignore[arg-type]

    return Quiet()


def _graph(
    header: dict[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]], name: str, where: str
) -> Graph:
    from smidgen.frontends.torch_export.convert import to_graph
    from smidgen.frontends.torch_export.program import parse
    from smidgen.transforms.rewrites.channels_last import to_channels_last

    try:
        return to_channels_last(to_graph(parse(header["program"]), arrays, name))
    except SmidgenError as error:
        error.where = f"{where}: {error.where}" if error.where else where
        raise


def _received(output: IO[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """The header and the arrays that the reader wrote."""
    try:
        length = int.from_bytes(output.read(8), "little")
        header = json.loads(output.read(length))
        arrays = {
            key: np.lib.format.read_array(output, allow_pickle=False) for key in header["arrays"]
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"the reader of the file wrote nothing usable ({error})") from error
    return header, arrays


def _members(path: Path) -> list[str]:
    """Names of what a zip file holds; none if it is no zip file or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return []


def _refuse_other(path: Path, names: list[str]) -> SmidgenError:
    """The refusal of a file that holds no exported program."""
    if any(name.endswith("/constants.pkl") for name in names):
        return UnsupportedModelError(
            "it is TorchScript, which PyTorch has given up",
            where=path.name,
            hint=f"build the nn.Module that it was made of, then call {EXAMPLE}",
        )
    with path.open("rb") as file:
        pickled = file.read(1) == b"\x80"
    if pickled or any(name.endswith("/data.pkl") for name in names):
        return UnsupportedModelError(
            "it holds weights (or a pickled module, which is code) without the network that they "
            "belong to",
            where=path.name,
            hint="build the network, then run "
            f'model.load_state_dict(torch.load("{path.name}", map_location="cpu", '
            "weights_only=True)) and "
            "smidgen.load(model.eval(), example=(x,))",
        )
    return ModelFileError(
        "it is no .pt2 file, or a damaged one",
        where=path.name,
        hint='save the model with torch.export.save(program, "model.pt2")',
    )
