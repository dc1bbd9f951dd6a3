"""Regenerate the tables and figures of papers on adversarial robustness, beside the printed numbers."""
