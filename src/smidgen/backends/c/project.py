"""Write the firmware folder of a model: what a user adds to a project of their own."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from smidgen.backends.c.emit import KERNELS, Source
from smidgen.errors import SmidgenError
from smidgen.files import new_folder


def write_sources(source: Source, folder: Path) -> None:
    """Write `<name>.h`, `<name>.c` and the kernels they use into an existing folder."""
    (folder / f"{source.name}.h").write_text(source.header, encoding="utf-8")
    (folder / f"{source.name}.c").write_text(source.source, encoding="utf-8")
    (folder / "kernels").mkdir(exist_ok=True)
    for kernel in source.kernels:
        text = (KERNELS / kernel).read_text(encoding="utf-8")
        (folder / "kernels" / kernel).write_text(text, encoding="utf-8")


def write_project(source: Source, out: str | Path) -> Path:
    """Write the model's sources, a CMake file and an example, whole or not at all.

    A folder of that name that Smidgen wrote earlier is replaced; any other is left alone.

    Args:
        source: the generated text.
        out: the folder to write.

    Returns:
        The folder.

    Raises:
        SmidgenError: if `out` holds anything else than an earlier result.
    """
    out = Path(out)
    mark = "Compiled by Smidgen"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        cmake = out / "CMakeLists.txt"
        if not cmake.is_file() or mark not in cmake.read_text(encoding="utf-8", errors="replace"):
            raise SmidgenError(
                "exists and was not written by smidgen compile",
                where=str(out),
                hint="choose an empty or new folder",
            )
    with new_folder(out) as folder:
        write_sources(source, folder)
        (folder / "CMakeLists.txt").write_text(_cmake(source, mark), encoding="utf-8")
        (folder / "main.c").write_text(_example(source), encoding="utf-8")
    return out


def _cmake(source: Source, mark: str) -> str:
    return dedent(
        f"""\
        # {mark}. Use it with add_subdirectory() and link your program to {source.name}.
        cmake_minimum_required(VERSION 3.13)
        project({source.name} C)

        add_library({source.name} STATIC {source.name}.c)
        target_include_directories({source.name} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
        set_target_properties({source.name} PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)

        # The example runs on a computer: cmake -B build && cmake --build build
        if(PROJECT_IS_TOP_LEVEL OR CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR)
          add_executable({source.name}_example main.c)
          target_link_libraries({source.name}_example {source.name})
        endif()
        """
    )


def _example(source: Source) -> str:
    name, upper = source.name, source.name.upper()
    many_in = f"{source.functions[0]}_input0(" in source.header
    many_out = f"{source.functions[0]}_output0(" in source.header
    function = source.functions[0]
    block = reset = ""
    if source.state_bytes:
        block = (
            "/* What it remembers from one step to the next. */\n"
            f"static uint32_t state[({upper}_STATE_BYTES + 3) / 4];\n\n"
        )
        reset = f"  {name}_reset(state); /* before the first step of each stream */\n\n"
    given = f"{function}_invoke(arena, state)" if function in source.stateful else ""
    given = given or f"{function}_invoke(arena)"
    word = "uint64_t" if "arena % 8" in source.source else "uint32_t"
    first, last = "input0" if many_in else "input", "output0" if many_out else "output"
    macro = function.upper()
    text = dedent(
        f"""\
        /* A first program: run the model once on zeros and print what comes out. */
        #include "{name}.h"

        #include <stdio.h>
        #include <string.h>

        /* All the memory that the model needs besides its stack. */
        static {word} arena[({upper}_ARENA_BYTES + sizeof({word}) - 1) / sizeof({word})];

        BLOCKint main(void) {{
        RESET
          /* Inputs lie in the arena and are overwritten by each inference: fill them every time. */
          memset({function}_{first}(arena), 0, {macro}_{first.upper()}_BYTES);

          if ({given} != 0) {{
            puts("the arena is misaligned");
            return 1;
          }}

          for (int i = 0; i < {macro}_{last.upper()}_SIZE; ++i) {{
            printf("%d: %g\\n", i, (double){function}_{last}(arena)[i]);
          }}
          return 0;
        }}
        """
    )
    return text.replace("BLOCK", block).replace("RESET\n", reset)
