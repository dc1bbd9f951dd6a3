"""What an audit has found so far, in files: one that was interrupted goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from robustrepro.audits.alarms import Alarm
from robustrepro.audits.battery import FAR, Watcher
from robustrepro.canonical import canonical_json
from robustrepro.files import atomic_path


def fingerprint(
    model: nn.Module, images: Tensor, labels: Tensor, described: Mapping[str, Any], code: Iterable[Any] = ()
) -> str:
    """Return a digest of all that an audit's results depend on and that can be read: what is kept is kept under it.

    Parameters
    ----------
    model
        Its structure in words, its weights, and the files that its classes are written in count.
    images, labels
        Shapes (N, ...) and (N,), on the CPU.
    described
        The attacks and the seed, as plain data.
    code
        Classes and functions whose files count as well, such as those of the user's own attacks.
    """
    digest = hashlib.sha256(f"{type(model).__qualname__}\n{model}\n{canonical_json(described)}".encode())
    own = {type(module) for module in model.modules() if not type(module).__module__.startswith("torch.")}
    for source in _sources({*own, *code}):
        digest.update(source)
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        if isinstance(value, Tensor):
            digest.update(save({"value": value.detach().cpu().contiguous()}))
    digest.update(save({"images": images.contiguous(), "labels": labels.contiguous()}))
    return digest.hexdigest()


def _sources(own: Iterable[Any]) -> list[bytes]:
    """Return what is written in the files of classes and functions; of those of a notebook, themselves alone."""
    sources = set()
    for each in own:
        try:
            sources.add(Path(inspect.getfile(each)).read_bytes())
        except (OSError, TypeError):
            with contextlib.suppress(OSError, TypeError):
                sources.add(inspect.getsource(each).encode())
    return sorted(sources)


class Kept(Watcher):
    """Keeps the points of every attack, and shows progress.

    Parameters
    ----------
    folder
        Where to keep them; None keeps none. What lies there of another model, of other images or attacks is removed.
    digest
        What the results depend on (see `fingerprint`).
    shown
        Whether to show progress on standard error: a bar while an attack runs, a line when it has ended, and lines of
        what the alarms say.
    slow
        The attacks that take long: where there is no terminal to show a bar, a line says that one begins.
    """

    def __init__(self, folder: Path | None, digest: str, *, shown: bool, slow: Collection[str] = ()) -> None:
        self._folder = None if folder is None else folder / digest[:16]
        self._console = Console(stderr=True, highlight=False, soft_wrap=True) if shown else None
        self._bar: RichProgress | None = None
        self._begun = time.monotonic()
        self._slow, self._was_kept, self._headed = slow, False, False
        self._going_off: list[str] = []
        if folder is not None and folder.is_dir():
            for other in folder.iterdir():
                if other != self._folder and other.is_dir():
                    shutil.rmtree(other)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def begins(self, attack: str, images: int) -> None:
        """Show that an attack begins."""
        self._begun, self._was_kept = time.monotonic(), False
        if self._console is None:
            return
        if not self._headed:
            self._print(f"{images:,} images. Each line: how many resist so far, this attack and all before it.")
            self._headed = True
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
            self._bar = RichProgress(*columns, console=self._console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(attack, total=images)
        elif attack in self._slow and not (self._folder is not None and self._file(attack).is_file()):
            self._print(f"{attack:45s} begins on {images:,} images ...")

    def decided(self, images: int) -> None:
        """Show that so many more images have been decided."""
        if self._bar is not None:
            self._bar.advance(self._task, images)

    def ends(self, attack: str, resisting: float) -> None:
        """Show which share resists so far, and how long the attack took or that its points were kept."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        took = "kept from before" if self._was_kept else f"{time.monotonic() - self._begun:6.1f} s"
        found = "  for an alarm alone   " if attack.startswith(FAR) else f" {100 * resisting:5.1f}% resist so far"
        self._print(f"{attack:45s}{found}   {took}")

    def checked(self, alarms: Sequence[Alarm], added: Iterable[str]) -> None:
        """Show which alarms go off, which are silenced or stay, and what is added because of them."""
        before, self._going_off = self._going_off, [alarm.name for alarm in alarms if alarm.still_goes_off]
        for alarm in alarms:
            value, bound = 100 * (alarm.value if alarm.after is None else alarm.after), 100 * alarm.bound
            if alarm.name in self._going_off:
                goes = "still goes off" if alarm.name in before else "goes off"
                self._print(f"! Alarm {goes}: {alarm.name} ({alarm.says}: {value:.1f}%, above {bound:.1f}%).")
            elif alarm.name in before:
                self._print(f"! Alarm silenced: {alarm.name} ({alarm.says}: {value:.1f}%, no more than {bound:.1f}%).")
        names = ", ".join(added)
        if self._going_off and not before:
            self._print(f"  Added: {names}, and attacks on copies of the model that let a gradient pass.")
        elif self._going_off and names:
            self._print(f"  Added: attacks on a network distilled from the model's answers, {names}.")
        elif self._going_off:
            self._print("  Nothing is left to add: whether what resists is robust stays undecided.")

    def _print(self, line: str) -> None:
        if self._console is not None:
            self._console.print(line, markup=False)

    def points(self, attack: str) -> Tensor | None:
        """Return the points that an attack ended with in an earlier run; None where they were not kept whole."""
        if self._folder is None:
            return None
        try:
            points = load_file(self._file(attack))["points"]
        except (OSError, SafetensorError, KeyError):
            return None
        self._was_kept = True
        return points

    def keep(self, attack: str, points: Tensor) -> None:
        """Write the points that an attack has ended with."""
        if self._folder is not None:
            with atomic_path(self._file(attack)) as partial:
                partial.write_bytes(save({"points": points.contiguous()}))

    def _file(self, attack: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{attack.replace(', ', '--').replace(' ', '-')}.safetensors"
