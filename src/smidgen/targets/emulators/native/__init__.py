"""C that runs inside an emulator: built once for this machine and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from smidgen.targets.toolchain import find_host_compiler, host_compile_shared

_HERE = Path(__file__).parent


def build_native(name: str) -> Path:
    """Compile ``<name>.c`` of this folder into a shared library.

    The library is kept in the user's cache folder under a name that depends on the source and on
    the compiler, so it is compiled once for a machine.

    Args:
        name: "hooks" or "qemu_plugin".

    Returns:
        The shared library.

    Raises:
        ToolMissingError: There is no host compiler.
        ToolchainError: It does not compile.
    """
    source = _HERE / f"{name}.c"
    key = hashlib.sha256(source.read_bytes() + " ".join(find_host_compiler()).encode()).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smidgen"
    library = cache / f"{name}-{key[:16]}.so"
    if library.exists():
        return library
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=cache)
    except OSError:  # a read-only home: a folder of our own, for this process
        folder = tempfile.mkdtemp(prefix="smidgen-")
        library = Path(folder) / library.name
    built = host_compile_shared([source], Path(folder) / "built.so")
    # Renaming is atomic: another process sees the whole library or none.
    built.replace(library)
    if library.parent != Path(folder):
        Path(folder).rmdir()
    return library
