"""One model under every attack of the audit, in one ball."""

from __future__ import annotations

from robustrepro.audits.battery import Battery
from robustrepro.measures.step import Measured
from robustrepro.measures.store import stacked
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import AuditOfBall
from robustrepro.steps import Progress


def measure(trained: Trained, declared: AuditOfBall, _progress: Progress) -> Measured:
    """Attack a model with the whole battery and return one row per image, attack and ε.

    Returns
    -------
    ``attack``, ``epsilon`` (that of the attack: a smaller one where the comparison may have to be repeated there),
    ``index``, ``label``, ``clean_prediction`` and ``prediction``; in the notes ``ball``, as declared, and ``alarms``.
    """
    ball = declared.ball
    examples = trained.examples("test", declared.examples, declared.clipped)
    battery = Battery(trained.network, examples.inputs, examples.labels, seed=trained.seed, box=examples.box)
    outcome = battery.run(ball)
    shared = {
        "index": battery.indices.numpy(),
        "label": examples.labels.numpy(),
        "clean_prediction": battery.clean.numpy(),
    }
    at_ball = [(name, ball.epsilon, predicted) for name, predicted in outcome.predictions.items()]
    below = [("smaller", epsilon, predicted) for epsilon, predicted in outcome.smaller.items()]
    parts = [
        {**shared, "attack": name, "epsilon": epsilon, "prediction": predicted.numpy()}
        for name, epsilon, predicted in at_ball + below
    ]
    alarms = [alarm.as_data() for alarm in outcome.alarms]
    described = ball.model_dump(mode="json", exclude_none=True)
    return Measured(stacked(parts), {"ball": described, "alarms": alarms})
