"""An audit as a page that needs nothing beside it: the verdict, every attack, the alarms, and what broke images."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from robustrepro.api.verdict import PGD, sentences, short_words
from robustrepro.provenance import versions
from robustrepro.words import NORM_SYMBOLS, epsilon_in_words

if TYPE_CHECKING:
    from torch import Tensor

    from robustrepro.api.auditing import Audit

FOLDER = Path(__file__).parent
MOST_SHOWN = 6
"""How many broken images are shown."""
IMAGES = 4
"""The dimensions of a batch of images."""
STAGES = {
    "always": "Always",
    "alarm": "Added because an alarm went off",
    "still": "Added because an alarm still went off",
    "others": "Examples of other models",
}
"""What the stages of `Audit.attacks` are called, in their order."""
GREY, COLOUR = 1, 3
"""The channels of what can be shown."""


class Broken(NamedTuple):
    """An image that was broken: its class, what becomes of it in words, and pictures as data addresses."""

    place: int
    label: int
    becomes: str
    before: str
    after: str
    change: str


def page(audit: Audit) -> str:
    """Return the audit as an HTML page, a function of the audit alone."""
    return _rendered("audit.html", audit)


def shown_in_notebook(audit: Audit) -> str:
    """Return the verdict and the attacks as a piece of HTML."""
    return _rendered("notebook.html", audit)


def _rendered(template: str, audit: Audit) -> str:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    within = f"{NORM_SYMBOLS[audit.norm]}, ε = {epsilon_in_words(audit.epsilon)}"
    style = Markup((FOLDER / "audit.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(
        audit=audit,
        within=within,
        sentences=sentences(audit),
        pgd=float(audit.attacks.set_index("attack").at[PGD, "accuracy"]),
        stages=_stages(audit),
        broken=_broken(audit),
        style=style,
        versions=versions(),
    )


def _stages(audit: Audit) -> list[tuple[str, list[Any]]]:
    """Return the attacks in the order in which they ran, by when they run, in words."""
    place = {attack: number for number, attack in enumerate(audit.ran)}
    rows = sorted(audit.attacks.itertuples(), key=lambda row: place[row.attack])
    stages = [(words, [row for row in rows if row.stage == stage]) for stage, words in STAGES.items()]
    return [(words, found) for words, found in stages if found]


def _broken(audit: Audit) -> list[Broken]:
    """Return the first images that were right and are wrong at the worst point; none where they are no pictures."""
    images = audit.images
    if images.ndim != IMAGES or images.shape[1] not in (GREY, COLOUR):
        return []
    frame = audit.frame
    fell = frame[(frame["clean_prediction"] == frame["label"]) & (frame["right"] < 1)].sort_values(
        "right", kind="stable"
    )
    shown = []
    by_image = audit.broken.set_index("index")
    for index, label, right in fell[["index", "label", "right"]].head(MOST_SHOWN).itertuples(index=False):
        before, after = images[int(index)], audit.adversarial[int(index)]
        # Grey where nothing changes; the largest change is black or white.
        change = (after - before) / (2 * (after - before).abs().max().clamp_min(1e-12)) + 0.5
        if audit.by_chance:
            becomes = f"right in {100 * right:.0f}% of passes"
        else:
            becomes = (
                f"taken for {by_image.at[index, 'prediction']} ({short_words(audit, by_image.at[index, 'attack'])})"
            )
        shown.append(Broken(int(index), int(label), becomes, _picture(before), _picture(after), _picture(change)))
    return shown


def _picture(image: Tensor) -> str:
    """Return an image in [0, 1], shape (channels, height, width), as the address of a PNG."""
    levels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(np.squeeze(levels, 2) if levels.shape[2] == GREY else levels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
