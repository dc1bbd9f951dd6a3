"""Two results beside each other: verdicts and table cells before and after a change.

Imports nothing heavy here: the Snakefile lets :mod:`robustrepro.comparison.last_run` keep what a run replaces.
"""
