"""Graph → dependency-free C: select kernels, plan the arena, emit, link, run."""
