"""A file, or a live model of another framework, becomes a Graph."""
