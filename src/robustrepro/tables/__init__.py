"""From measurements to a paper's tables."""
