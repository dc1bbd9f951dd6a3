"""Attacks whose bound is on something else than pixels: where they lie, their colours, frequencies, or features."""
