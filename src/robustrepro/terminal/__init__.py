"""A run as its user sees it: one line while it lasts, an answer at its end."""
