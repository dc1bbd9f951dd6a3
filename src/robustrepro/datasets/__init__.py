"""Data sets as tensors on disk, each with a manifest that holds their checksums."""
