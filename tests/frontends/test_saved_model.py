from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.errors import ToolMissingError, UnsupportedModelError
from smidgen.frontends import load
from tests.graphs import difference

CONVERTER = """
class TFLiteConverter:
    def __init__(self, path): self.path = path
    @classmethod
    def from_saved_model(cls, path): return cls(path)
    def convert(self):
        import pathlib
        files = list((pathlib.Path(self.path) / "assets").glob("*.tflite"))
        if not files: raise ValueError("no signature 'serving_default'")
        return files[0].read_bytes()
class lite:
    TFLiteConverter = TFLiteConverter
"""


@pytest.mark.parametrize("name", ["kws_saved_model", "kws_saved_model/saved_model.pb"])
def test_without_tensorflow_one_sentence_says_what_to_do(shared: Path, name: str) -> None:
    with pytest.raises(ToolMissingError) as caught:
        load(shared / "models" / "mlperf_tiny" / name)
    text = str(caught.value)
    assert text.startswith("TensorFlow is not installed and converting the SavedModel")
    assert "from_saved_model('kws_saved_model')" in text


def test_the_converters_answer_is_read(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what stands in for TensorFlow, which no test can install: it hands over a real file."""
    package = tmp_path / "site"
    package.mkdir()
    (package / "tensorflow.py").write_text(CONVERTER)
    monkeypatch.setenv("PYTHONPATH", str(package), prepend=":")
    monkeypatch.syspath_prepend(str(package))
    folder = tmp_path / "model"
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UnsupportedModelError, match="no signature 'serving_default'"):
        load(folder)
    file = shared / "models" / "mlperf_tiny" / "vww_96_float.tflite"
    (folder / "assets" / "vww.tflite").write_bytes(file.read_bytes())
    graph = load(folder)
    assert graph.name == "model"
    assert difference(graph, load(file)) == ""
