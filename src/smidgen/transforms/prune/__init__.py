"""Pruning: connections and whole channels, what they are worth, and taking them away."""
