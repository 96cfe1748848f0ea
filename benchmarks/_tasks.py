"""The four MLPerf Tiny tasks: a float model, samples to calibrate on, and samples to be judged on.

What is calibrated or chosen on is never what is judged on. Where no training data is at hand,
each task says what stands in for it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from benchmarks._shared import MLPERF, SHARED
from smidgen import Dataset, Graph, load

AD_CLIP = 196  # windows in the only clip there is
AD_OVERLAP = 4  # frames that neighbouring windows have in common


@dataclass(frozen=True)
class Task:
    """A model and its data.

    Args:
        name: as everybody calls it.
        file: of the float model.
        data: training samples with labels where there are any, and the test samples.
        calibrated_on: what the training samples are, in words.
        judged_on: what the test samples are, in words.
    """

    name: str
    file: str
    data: Dataset
    calibrated_on: str
    judged_on: str

    def model(self) -> Graph:
        """The float model."""
        return load(MLPERF / self.file)


def _readers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shared_data", SHARED / "data" / "load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _file(name: str) -> dict[str, np.ndarray]:
    with np.load(SHARED / "data" / name, allow_pickle=False) as file:
        return dict(file)


def ic(train: int = 5000) -> Task:
    """Image classification: ResNet-8 on CIFAR-10."""
    readers = _readers()
    x, y = readers.cifar10("train", limit=train)
    x_test, y_test = readers.cifar10("test")
    data = Dataset(x.astype(np.float32), y, x_test.astype(np.float32), y_test)
    return Task("IC", "pretrainedResnet.h5", data, "CIFAR-10 train", "CIFAR-10 test, all of it")


def kws() -> Task:
    """Keyword spotting: DS-CNN on Speech Commands; all clips at hand are of its test split."""
    file = _file("kws/kws_gsc12_mfcc_4890.npz")
    x, y, rest, official = (file[k] for k in ("x", "y", "rest_idx", "official_1000_idx"))
    data = Dataset(x[rest], y[rest], x[official], y[official])
    return Task(
        "KWS", "kws_ref_model.keras", data, "clips outside the official 1,000", "the official 1,000"
    )


def vww(train: int = 1000) -> Task:
    """Visual wake words: MobileNet; its training images are not at hand, other photographs are.

    Half of the calibration samples are CIFAR-10 training images three times as large, half are
    three by three of them: natural colours, coarse and fine structure.
    """
    half = train // 2
    images, _ = _readers().cifar10("train", limit=10 * half)
    large = images[:half].repeat(3, axis=1).repeat(3, axis=2)
    tiles = images[half : 10 * half].reshape(-1, 3, 3, 32, 32, 3).transpose(0, 1, 3, 2, 4, 5)
    x = np.concatenate([large, tiles.reshape(-1, 96, 96, 3)])
    file = _file("vww/vww96_coco_open.npz")
    data = Dataset(_unit(x), None, _unit(file["x"]), file["y"])
    return Task("VWW", "vww_96.keras", data, "CIFAR-10 train, at 96x96", "57 COCO photographs")


def _unit(images: np.ndarray) -> np.ndarray:
    return (images / 255).astype(np.float32)


def ad() -> Task:
    """Anomaly detection: an autoencoder; of its data one normal clip is at hand.

    The first half of the clip calibrates. Judged is the whole clip, as upstream's figure is.
    """
    frames = _file("ad/ad01_toycar_one_normal.npz")["logmel"]
    windows = np.stack([frames[i : i + 5].ravel() for i in range(AD_CLIP)])
    data = Dataset(windows[: AD_CLIP // 2], None, windows)
    return Task("AD", "ad01.h5", data, "first half of a normal clip", "the clip's 196 windows")


def ad_unseen(task: Task) -> Dataset:
    """The windows of the clip that share no frame with those that calibrate."""
    assert task.data.x_test is not None
    return Dataset(task.data.x, None, task.data.x_test[AD_CLIP // 2 + AD_OVERLAP :])


TASKS: dict[str, Callable[[], Task]] = {"IC": ic, "KWS": kws, "VWW": vww, "AD": ad}
