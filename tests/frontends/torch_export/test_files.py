"""`.pt2` files: read without PyTorch, unpickled never; other files of PyTorch are refused."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import smidgen
from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from tests.frontends.torch_export.layers import Do
from tests.frontends.torch_export.networks import Fire, Residual
from tests.frontends.torch_export.oracle import compare, draw, prepared

pytestmark = pytest.mark.torch

SHAPE = (4, 10, 8)


def save(module: nn.Module, path: Path, *, decompose: bool = False) -> nn.Module:
    import warnings

    prepared(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, draw([SHAPE]))
        torch.export.save(program.run_decompositions({}) if decompose else program, str(path))
    return module


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with convolutions, batch norms and a shortcut."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("pt2") / "residual.pt2"
    save(Residual(4, 4), path)
    return path


def rewritten(file: Path, out: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of a zip file with its members changed, or left out."""
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            data = change(info.filename.partition("/")[2], source.read(info))
            if data is not None:
                target.writestr(info.filename, data)
    return out


def edited(file: Path, out: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """A copy with its program changed."""

    def change(name: str, data: bytes) -> bytes:
        if name != "models/model.json":
            return data
        program = json.loads(data)
        edit(program)
        return json.dumps(program).encode()

    return rewritten(file, out, change)


@pytest.mark.parametrize("decompose", [False, True])
def test_a_saved_program(tmp_path: Path, decompose: bool) -> None:
    """Before decompositions it has operators that write over their operands: `relu_`, `add_`."""
    torch.manual_seed(0)
    module = save(Residual(4, 6, 2), tmp_path / "net.pt2", decompose=decompose)
    graph = smidgen.load(tmp_path / "net.pt2")
    assert graph.name == "net"
    compare(graph, module, draw([SHAPE], seed=1))


def test_a_live_program() -> None:
    module = prepared(Fire(4, 3, 5))
    compare(smidgen.load(torch.export.export(module, draw([SHAPE]))), module, draw([SHAPE], 1))


def test_views_of_what_is_overwritten(tmp_path: Path) -> None:
    """A view that is read after its base was written over has no value of its own."""
    save(Do(lambda x: x.mul(2).view(1, -1).relu_() + 1), tmp_path / "fine.pt2")
    smidgen.load(tmp_path / "fine.pt2")

    def shared(x: Any) -> Any:
        y = x * 2
        view = y.view(1, -1)
        y.relu_()
        return view + 1

    save(Do(shared), tmp_path / "shared.pt2")
    with pytest.raises(UnsupportedModelError, match="whose memory it shares"):
        smidgen.load(tmp_path / "shared.pt2")


def test_strided_and_narrow_weights(tmp_path: Path) -> None:
    class Narrow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, 6).t()[:, ::2], requires_grad=False)
            self.offset = nn.Parameter(torch.randn(4).to(torch.bfloat16), requires_grad=False)

        def forward(self, x: Any) -> Any:
            return (
                nn.functional.linear(x, self.weight.t()[:, :4].contiguous()) + self.offset.float()
            )

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Narrow()

        def forward(self, x: Any) -> Any:
            return self.inner(x[..., :4])

    module = save(Both(), tmp_path / "narrow.pt2")
    compare(smidgen.load(tmp_path / "narrow.pt2"), module, draw([SHAPE], seed=1))


def test_pytorch_is_not_imported(file: Path) -> None:
    code = (
        "import sys, smidgen; smidgen.load(sys.argv[1]); "
        "assert not any(m.split('.')[0] == 'torch' for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".ckpt"])
def test_weights_alone(tmp_path: Path, suffix: str, legacy: bool) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save(nn.Linear(2, 3).state_dict(), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsupportedModelError) as error:
        smidgen.load(path)
    message = str(error.value)
    assert "without the network" in message
    assert f'torch.load("weights{suffix}", map_location="cpu", weights_only=True)' in message
    assert "smidgen.load(model.eval(), example=(x,))" in message


def test_torchscript(tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.ReLU()).save(str(tmp_path / "m.pt"))
    with pytest.raises(UnsupportedModelError, match="TorchScript"):
        smidgen.load(tmp_path / "m.pt")


def test_a_pickle_is_not_run(tmp_path: Path, file: Path) -> None:
    """The members that PyTorch would unpickle are not opened, whatever they hold."""
    marker = tmp_path / "ran"
    bomb = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."

    def plant(name: str, data: bytes) -> bytes:
        if name.endswith("model_weights_config.json"):
            config = json.loads(data)
            next(iter(config["config"].values()))["use_pickle"] = True
            return json.dumps(config).encode()
        return bomb if name.endswith((".pt", "weight_0")) else data

    path = rewritten(file, tmp_path / "bomb.pt2", plant)
    with pytest.raises(UnsupportedModelError, match="pickled Python object"):
        smidgen.load(path)
    assert not marker.exists()


def _without(member: str) -> Callable[[str, bytes], bytes | None]:
    return lambda name, data: None if name.endswith(member) else data


def test_members_that_are_missing(tmp_path: Path, file: Path) -> None:
    for member in ("model.json", "model_weights_config.json", "weight_0", "constants_config.json"):
        path = rewritten(file, tmp_path / "missing.pt2", _without(member))
        with pytest.raises(ModelFileError, match=r"missing\.pt2"):
            smidgen.load(path)


def test_files_of_older_versions(tmp_path: Path, file: Path) -> None:
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
    with pytest.raises(UnsupportedModelError, match=r"2\.7 or before"):
        smidgen.load(tmp_path / "old.pt2")

    def newer(program: dict[str, Any]) -> None:
        program["schema_version"]["major"] = 9

    with pytest.raises(UnsupportedModelError, match="schema has version 9"):
        smidgen.load(edited(file, tmp_path / "newer.pt2", newer))


def test_sizes_that_do_not_hold(tmp_path: Path, file: Path) -> None:
    def larger(name: str, data: bytes) -> bytes:
        if not name.endswith("model_weights_config.json"):
            return data
        config = json.loads(data)
        next(iter(config["config"].values()))["tensor_meta"]["sizes"][0]["as_int"] = size
        return json.dumps(config).encode()

    for size in (5, 1 << 36):  # noqa: B007 - `larger` reads it
        path = rewritten(file, tmp_path / "larger.pt2", larger)
        with pytest.raises(ModelFileError, match=r"reaches beyond|more than the file can"):
            smidgen.load(path)


EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "unknown tensor": lambda g: g["nodes"][1]["inputs"][0]["arg"]["as_tensor"].update(name="none"),
    "no tensor": lambda g: g["nodes"][0]["inputs"][0].update(arg={"as_string": "x"}),
    "odd stride": lambda g: g["nodes"][0]["inputs"][3].update(arg={"as_ints": [0, 1]}),
    "huge stride": lambda g: g["nodes"][0]["inputs"][3].update(arg={"as_ints": [1 << 40, 1]}),
    "negative padding": lambda g: g["nodes"][0]["inputs"][4].update(arg={"as_ints": [-7, -7]}),
    "other shape": lambda g: next(
        meta for name, meta in g["tensor_values"].items() if name == "relu_"
    ).update(sizes=[{"as_int": 1}]),
    "list of strings": lambda g: g["nodes"][0]["inputs"][3].update(arg={"as_strings": ["1"]}),
    "two kinds": lambda g: g["nodes"][0]["inputs"][0].update(arg={"as_int": 1, "as_none": True}),
    "no nodes": lambda g: g.update(nodes=[]),
    "nodes": lambda g: g.update(nodes=7),
    "outputs": lambda g: g.update(outputs=[{"as_tensor": {"name": "nothing"}}]),
}


@pytest.mark.parametrize("name", EDITS)
def test_programs_that_contradict_themselves(tmp_path: Path, file: Path, name: str) -> None:
    def edit(program: dict[str, Any]) -> None:
        EDITS[name](program["graph_module"]["graph"])

    with pytest.raises(SmidgenError, match=r"edited\.pt2"):
        smidgen.load(edited(file, tmp_path / "edited.pt2", edit))


def test_damaged_bytes(tmp_path: Path, file: Path) -> None:
    """Cut anywhere or with a byte flipped, it loads or is refused by a typed error."""
    whole = file.read_bytes()
    path = tmp_path / "damaged.pt2"
    for cut in (0, 3, 100, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:cut])
        with pytest.raises(SmidgenError):
            smidgen.load(path)
    for place in random.Random(0).sample(range(len(whole)), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with contextlib.suppress(SmidgenError):
            smidgen.load(path)


def test_one_tensor_may_stand_for_a_tuple_of_one():
    module = torch.nn.Conv2d(3, 4, 3).eval()
    one = smidgen.load(module, example=torch.zeros(1, 3, 8, 8))
    assert str(one) == str(smidgen.load(module, example=(torch.zeros(1, 3, 8, 8),)))
