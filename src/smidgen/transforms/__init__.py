"""Graph to graph: rewrites that change nothing, pruning and quantization that change little."""
