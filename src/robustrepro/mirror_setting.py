"""How steps are told of the folder in which a user keeps official data files and given weights."""

from __future__ import annotations

import os
from pathlib import Path

from robustrepro.mirror import VARIABLE


def use_configured_mirror() -> None:
    """Tell a step that was started by hand where the folder is, as Snakemake would have: by config.yaml, if any."""
    from robustrepro.spec.config import CONFIG_FILE
    from robustrepro.spec.strict_yaml import read_yaml

    file = Path(CONFIG_FILE)
    data = read_yaml(file).get("data") if file.exists() and not os.environ.get(VARIABLE) else None
    use_mirror(data.get("mirror") if isinstance(data, dict) else None)


def use_mirror(configured: str | None = None) -> None:
    """Tell the steps where the folder is.

    What the environment says, if it says anything, takes precedence over ``data.mirror`` in config.yaml. A leading
    ``~`` is the user's home in both, though no shell has read it.
    """
    chosen = os.environ.get(VARIABLE) or configured
    if chosen:
        os.environ[VARIABLE] = os.path.expanduser(chosen)  # noqa: PTH111  (all else stays as it was written)
