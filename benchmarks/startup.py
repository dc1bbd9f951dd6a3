"""Start-up: what a step costs that has nothing to compute, and what starting costs in a run at scale quick.

Each is measured cold (every step is a new process that imports what it needs) and warm (steps are forks of a process
that has imported the libraries already, as in every `snakemake` run), on the files and byte code of an earlier run.

All happens in a temporary clone of the last commit, in which `snakemake` makes a table and a figure first. Part 1
times `import robustrepro` in fresh interpreters. Part 2 repeats one step of each rule, cold and warm in turn, with the
command that Snakemake has recorded. Part 3 runs `snakemake` from nothing. It reads the processor time of the Snakemake
process and of everything that it started, from the kernel, and takes off what the steps' logs say that they used for
their work: start-up is the rest, of which the logs tell the steps' imports.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from robustrepro import warm
from robustrepro.warm.link import OFF, VARIABLE

TARGET_SECONDS = 0.5
"""At most this long may a warm step take that has nothing to compute."""

IMPORT_SECONDS = 0.1
"""At most this long may `import robustrepro` take."""

COLD = {VARIABLE: OFF}

COST = re.compile(r"processor time: ([\d.]+) s to start, ([\d.]+) s to work")
"""What the log of a step ends with."""

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Cost:
    """Wall-clock and processor seconds; ``client`` is the part of the latter in the process that was started."""

    wall: float
    processor: float
    client: float


@dataclass(frozen=True)
class RunCost:
    """Processor seconds of one Snakemake run: of its own process, and of all that it started.

    In the latter are the steps' imports and their work.
    """

    snakemake: float
    started: float
    imports: float
    work: float
    steps: int

    @property
    def total(self) -> float:
        """Of everything."""
        return self.snakemake + self.started


# -- the package -------------------------------------------------------------------------------------------------------


def measure_import(environment: Mapping[str, str], rounds: int) -> None:
    """Import the package in fresh interpreters, and print how long that takes of the wall clock."""
    code = "import time; began = time.perf_counter(); import robustrepro; print(time.perf_counter() - began)"
    command = [sys.executable, "-c", code]
    times = [float(subprocess.check_output(command, env=environment)) for _ in range(rounds)]
    print(f"import robustrepro, {rounds} times: {statistics.median(times):.4f} s ({min(times):.4f} - {max(times):.4f})")
    print(f"target: within {IMPORT_SECONDS} s\n")


# -- single steps ------------------------------------------------------------------------------------------------------


def recorded_commands(folder: Path) -> dict[str, str]:
    """Return the command of one step of each rule that has run in ``folder``, as Snakemake has recorded it."""
    commands: dict[str, str] = {}
    for path in sorted((folder / ".snakemake/metadata").rglob("*")):
        if path.is_file():
            record = json.loads(path.read_text(encoding="utf-8"))
            commands.setdefault(record["rule"], record["shellcmd"])
    return commands


def cost_of(command: str, folder: Path, environment: Mapping[str, str], server: int | None = None) -> Cost:
    """Run a command and return what it cost; with the process id of a warm server, also what it cost the server."""
    before, children = _with_children(server), resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(["bash", "-c", command], cwd=folder, env=environment, check=True, capture_output=True)
    wall = time.perf_counter() - began
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = now.ru_utime + now.ru_stime - children.ru_utime - children.ru_stime
    return Cost(wall, used + _with_children(server) - before, used)


def measure_steps(folder: Path, environment: Mapping[str, str], rounds: int) -> tuple[float, float]:
    """Run one step of each rule cold and warm in turn, and print what they cost.

    Returns
    -------
    Processor seconds of a warm step's client, and of the imports of the warm server.
    """
    costs: dict[tuple[str, str], list[Cost]] = {}
    commands = recorded_commands(folder)
    os.environ["PYTHONPATH"] = environment["PYTHONPATH"]
    with warm.start() as server:
        if server is None:
            sys.exit(f"no warm start: {VARIABLE} is set, or the platform does not have what it takes")
        warmly = {**environment, VARIABLE: os.environ[VARIABLE]}
        first = cost_of(next(iter(commands.values())), folder, warmly).wall
        imports, _ = processor_seconds(server.pid)
        for _ in range(rounds):
            for name, command in commands.items():
                costs.setdefault((name, "cold"), []).append(cost_of(command, folder, {**environment, **COLD}))
                costs.setdefault((name, "warm"), []).append(cost_of(command, folder, warmly, server.pid))

    print(f"One step of each rule, {rounds} rounds, cold and warm in turn; seconds, medians")
    print(f"{'rule':<28}{'start':<6}{'wall':>11}{'min - max':>16}{'processor':>11}{'min - max':>16}   cold / warm")
    for (name, way), values in costs.items():
        columns = []
        for seconds in ([value.wall for value in values], [value.processor for value in values]):
            columns.append(f"{statistics.median(seconds):>11.2f}{min(seconds):>8.2f} -{max(seconds):>6.2f}")
        pairs = zip(costs[name, "cold"], values, strict=True)
        ratio = statistics.median(cold.processor / value.processor for cold, value in pairs)
        print(f"{name:<28}{way:<6}{''.join(columns)}{ratio:>10.1f}")
    print(f"target: a warm step that has nothing to compute (a measurement of distances) within {TARGET_SECONDS} s")
    client = statistics.median(cost.client for (_, way), values in costs.items() if way == "warm" for cost in values)
    print(f"of a warm step its shell and client: {client:.3f} s of processor time")
    print(
        f"the warm server, once a run: {imports:.1f} s of processor time; it had run a first step after {first:.1f} s"
    )
    return client, imports


# -- whole runs --------------------------------------------------------------------------------------------------------


EVERYTHING = ["all"]
SHORT = ["hrm_figure2"]
PREPARED = ["hrm_figure2", "hrm_table1"]
"""What is made first, so that there are commands to repeat: short trainings, measurements, a figure and a table."""


def clone(folder: Path) -> dict[str, str]:
    """Clone the last commit into ``folder`` and return the environment that runs its sources."""
    subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(folder)], check=True)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder / "src")], check=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return os.environ | {"PYTHONPATH": str(folder / "src"), "PATH": path}


def cost_of_run(folder: Path, targets: list[str], cores: int, environment: Mapping[str, str]) -> RunCost:
    """Run Snakemake in a clone, from nothing, and return what it cost."""
    for name in ("data", "results", ".snakemake"):
        shutil.rmtree(folder / name, ignore_errors=True)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--config", "scale=quick", "--", *targets]
    log = folder.with_suffix(".log")
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        # It is left as a zombie, whose record in the kernel tells its own time from that of its descendants. All of
        # these are in it: steps are waited for by the shell or by the warm server, and both by Snakemake.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        own, descendants = processor_seconds(process.pid)
        if process.wait() != 0:
            sys.exit(f"snakemake failed:\n{log.read_text()[-3000:]}")
    imports, work = recorded_seconds(folder / "results")
    steps = sum(1 for _ in (folder / "results").rglob("logs/**/*.log"))
    return RunCost(own, descendants, imports, work, steps)


def recorded_seconds(results: Path) -> tuple[float, float]:
    """Return the processor seconds that all steps needed to start, and to work, as their logs have them."""
    found = [COST.search(log.read_text(encoding="utf-8")) for log in results.rglob("logs/**/*.log")]
    pairs = [(float(match[1]), float(match[2])) for match in found if match]
    return sum(start for start, _ in pairs), sum(work for _, work in pairs)


@dataclass(frozen=True)
class Setting:
    """Where and how runs are measured.

    ``client`` and ``server`` are the processor seconds of a warm step's client, and of the imports of the server.
    """

    folder: Path
    environment: Mapping[str, str]
    cores: int
    client: float
    server: float


def measure_runs(setting: Setting, targets: list[str], ways: Mapping[str, Mapping[str, str]], rounds: int) -> None:
    """Run Snakemake in a clone, in each way in turn, and print where the processor time went."""
    costs: dict[str, list[RunCost]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, variables in ways.items():
            environment = {**setting.environment, **variables}
            costs[way].append(cost_of_run(setting.folder, targets, setting.cores, environment))

    steps = costs["warm"][0].steps
    what = "everything" if targets == EVERYTHING else " ".join(targets)
    print(f"\nsnakemake at scale quick, {what}: {steps} steps, {rounds} round(s); seconds of processor time, medians")
    headings = f"{'start':<6}{'total':>9}{'Snakemake':>11}{'work':>9}{'start-up':>10}{'a step':>8}"
    print(f"{headings}   start-up's share")
    # A cold step counts the libraries that it imports late as its own work, a warm one has them: the work is the same.
    work = statistics.median(run.work for run in costs["warm"])
    for way, runs in costs.items():
        total = statistics.median(run.total for run in runs)
        own = statistics.median(run.snakemake for run in runs)
        starting = statistics.median(run.started - work for run in runs)
        shares = [(run.started - work) / run.total for run in runs]
        print(
            f"{way:<6}{total:>9.1f}{own:>11.1f}{work:>9.1f}{starting:>10.1f}{starting / steps:>8.2f}"
            f"{statistics.median(shares):>11.0%} ({min(shares):.0%} - {max(shares):.0%})"
        )
    imports = statistics.median(run.imports for run in costs["warm"])
    inside = steps * setting.client + imports + setting.server
    share = inside / statistics.median(run.total for run in costs["warm"])
    print(f"warm, interpreters and imports alone: {inside:.1f} s, {share:.0%} of the total")
    clients = steps * setting.client
    print(f"  {steps} clients {clients:.1f}, imports of steps {imports:.1f}, of the server {setting.server:.1f}")


def processor_seconds(process: int) -> tuple[float, float]:
    """Return the processor seconds of a process itself and of the descendants that were waited for (proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15])
    return user + system, children_user + children_system


def _with_children(process: int | None) -> float:
    return 0.0 if process is None else sum(processor_seconds(process))


def main() -> None:
    """Measure the import of the package, then single steps, then whole runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of single steps (default: 3)")
    parser.add_argument("--run-rounds", type=int, default=1, help="rounds of whole runs (default: 1)")
    parser.add_argument("--cores", type=int, default=1, help="cores that snakemake uses (default: 1)")
    parser.add_argument("--full", action="store_true", help="also run all of scale quick, warm (minutes)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "clone"
        environment = clone(folder)
        measure_import(environment, 10 * options.rounds)
        cost_of_run(folder, PREPARED, options.cores, environment)
        client, server = measure_steps(folder, environment, options.rounds)
        setting = Setting(folder, environment, options.cores, client, server)
        measure_runs(setting, SHORT, {"warm": {}, "cold": COLD}, options.run_rounds)
        if options.full:
            measure_runs(setting, EVERYTHING, {"warm": {}}, options.run_rounds)


if __name__ == "__main__":
    main()
