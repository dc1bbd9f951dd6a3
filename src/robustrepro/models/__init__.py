"""The papers' architectures, one file a family."""
