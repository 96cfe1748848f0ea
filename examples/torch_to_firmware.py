"""A PyTorch module as int8 firmware: exported, quantized, compiled, run on an emulated chip.

    python examples/torch_to_firmware.py samples.npz nucleo-l4r5zi

`samples.npz` holds `x`, images as the module takes them or channels last, to calibrate on. The
module stands for yours, which is trained.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

import smidgen


def main(samples: str, board: str) -> int:
    data = smidgen.Dataset.from_npz(samples)
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(16, 10),
    )  # fmt: skip
    model = smidgen.load(module.eval(), example=(torch.zeros(1, 1, 8, 8),))
    int8 = smidgen.quantize(model, data)
    smidgen.write_tflite(int8, "model.tflite")
    firmware = smidgen.compile(int8, board, out="firmware")
    print(f"flash {firmware.flash_bytes:,} B, RAM {firmware.ram_bytes:,} B, in firmware/")
    check = smidgen.verify(int8, smidgen.random_inputs(int8, 4), firmware=firmware)
    print(check.verdict)
    return 0 if check.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
