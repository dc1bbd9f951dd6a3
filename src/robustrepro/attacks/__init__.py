"""Threat models and attacks, one file a family."""
