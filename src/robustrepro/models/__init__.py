"""Networks: the papers' architectures and preprocessing, one file per kind, and where their weights come from."""
