"""Training objectives, one file an objective."""
