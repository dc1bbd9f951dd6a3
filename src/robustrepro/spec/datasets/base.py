"""What the declarations of all data sets share."""

from __future__ import annotations

from robustrepro.spec.base import Implemented


class Dataset(Implemented):
    """A data set; ``implementation`` is what makes it (see `robustrepro.datasets.examples`)."""

    name: str
