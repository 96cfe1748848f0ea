"""Compile a .tflite with bakenn and its CMSIS-NN overlay; run as a script where bakenn is found.

    python benchmarks/_bakenn.py MODEL.tflite FOLDER

prints JSON: sources, include folders, definitions and sizes; or why bakenn refuses the model.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path


def main(model: str, folder: str) -> None:
    import bakenn
    from bakenn.backend.portable_c import CBackendOptions, KernelPolicy

    options = CBackendOptions(
        kernel_policy=KernelPolicy.STATIC_PRIORITY,
        enable_cmsis_nn=True,
        target=bakenn.CORTEX_M4,
    )
    try:
        bakenn.compile_tflite(Path(model), folder, name="m", backend_options=options)
    except bakenn.BakeNNError as error:
        print(json.dumps({"refused": str(error)}))
        return
    listed = (Path(folder) / "bakenn_sources.cmake").read_text(encoding="utf-8")
    header = (Path(folder) / "bknn_m.h").read_text(encoding="utf-8")

    def entries(name: str) -> list[str]:
        block = re.search(rf"set\(BAKENN_MODEL_{name}\n(.*?)\)", listed, re.DOTALL)
        items = re.findall(r'^\s*"?([^"\n]+)"?$', block[1], re.MULTILINE) if block else []
        return [item.replace("${CMAKE_CURRENT_LIST_DIR}", folder) for item in items]

    def size(name: str) -> int:
        found = re.search(rf"#define BKNN_M_{name} (\d+)u", header)
        return int(found[1]) if found else 0

    facts = {
        "sources": entries("SOURCES"),
        "include_dirs": entries("INCLUDE_DIRS"),
        "defines": entries("COMPILE_DEFINITIONS"),
        "arena": size("ARENA_SIZE"),
        "input": size("INPUT_BYTES"),
        "output": size("OUTPUT_BYTES"),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
