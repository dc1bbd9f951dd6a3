"""Steps for the tests of warm start: a library whose command line runs its argument, and ways to run and watch it."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import robustrepro

COMMAND_LINE = """
import sys

def main() -> None:
    code = sys.argv[1]
    exec(code, {"__name__": "step"})
"""

PARENT = "import os, sys; print(os.getppid())"

# Says that it has begun, with the process ids of itself and of a process that it started, and then goes on for long.
ENDLESS = """
import os, pathlib, subprocess, sys, time
begun = pathlib.Path(sys.argv[2])
other = subprocess.Popen([sys.executable, "-c", {inner!r}], stdout=subprocess.PIPE)
other.stdout.readline()
{outer}
begun.with_suffix(".new").write_text(f"{{os.getpid()}} {{other.pid}}")
begun.with_suffix(".new").rename(begun)
time.sleep(60)
"""
ENDLESS_MEEK = ENDLESS.format(inner="import time; print(flush=True); time.sleep(60)", outer="")
_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
ENDLESS_DEAF = ENDLESS.format(inner=f"{_DEAF}; import time; print(flush=True); time.sleep(60)", outer=_DEAF)


def eventually(holds: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def state_of(process: int) -> str:
    """Return the state letter of a process; Z if it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def gone(*processes: int) -> bool:
    return all(state_of(process) == "Z" for process in processes)


def install(folder: Path, command_line: str = COMMAND_LINE) -> Path:
    """Make a checkout whose library is the real one's way in and a command line of the test's own."""
    source, target = Path(robustrepro.__file__).parent, folder / "robustrepro"
    shutil.copytree(source / "warm", target / "warm", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(source / name, target)
    (target / "command_line.py").write_text(command_line)
    return folder


def heed_interrupts() -> None:
    """Let a child that is about to start heed SIGINT, which it would ignore if these tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin(*arguments: str | Path, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "robustrepro", *map(str, arguments)]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": heed_interrupts}
    return subprocess.Popen(command, **{**piped, **options})


def run(*arguments: str | Path, stdin: bytes = b"", **options: object) -> tuple[int, bytes, bytes]:
    step = begin(*arguments, stdin=subprocess.PIPE, **options)
    output, errors = step.communicate(stdin, timeout=60)
    return step.returncode, output, errors


def parent_of(*arguments: str | Path, **options: object) -> int:
    status, output, errors = run(PARENT, *arguments, **options)
    assert status == 0, errors
    return int(output)


def processes_of(begun: Path) -> list[int]:
    assert eventually(begun.exists)
    return [int(process) for process in begun.read_text().split()]
