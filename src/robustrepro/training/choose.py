"""Which training a step is to do: the declared one, or that of the candidate that a search has chosen."""

from __future__ import annotations

import json
from typing import Any

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.spec.training import TrainingSpec
from robustrepro.steps import Work


def training_of(work: Work) -> tuple[TrainingSpec, dict[str, Any]]:
    """Return the training of a step, and what its card says of how it was chosen.

    Parameters
    ----------
    work
        ``spec`` has ``training``; or ``among``, the training of each candidate, and then ``inputs`` has ``search``, the
        outcome.

    Raises
    ------
    UserError
        If what is chosen is no candidate.
    """
    if "training" in work.spec:
        return TrainingSpec.model_validate(work.spec["training"]), {}
    outcome, among = work.inputs["search"][0], work.spec["among"]
    candidate = json.loads(outcome.read_text(encoding="utf-8"))["chosen"]
    if candidate not in among:
        raise UserError(
            f"{outcome}: it chooses '{candidate}'; expected one of {', '.join(among)}. Delete it and run again"
        )
    return TrainingSpec.model_validate(among[candidate]), {"chosen": candidate, "search_sha256": sha256_of(outcome)}
