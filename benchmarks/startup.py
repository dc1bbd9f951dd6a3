"""Start-up: what a step costs that has nothing to compute, and what starting costs in a run at scale quick.

Each is measured cold (every step is a new process that imports what it needs) and warm (steps are forks of a process
that has imported the libraries already, as in every `snakemake` run), on the files and byte code of earlier runs.

Part 1 runs single steps, cold and warm in turn. Part 2 runs `snakemake` in a temporary clone of the last commit. It
reads the processor time of the Snakemake process and of everything that it started, from the kernel, and takes off
what the steps' logs say that they used for their work: start-up is the rest, of which the logs tell the steps' imports.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustrepro import warm
from robustrepro.canonical import canonical_json
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.sources import code_digest
from robustrepro.spec.training import ModelDeclaration
from robustrepro.warm.link import OFF, VARIABLE, receive

TARGET_SECONDS = 0.5
"""At most this long may a warm step take that has nothing to compute."""

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


# -- single steps ------------------------------------------------------------------------------------------------------


def step_command(step: str, spec: Mapping[str, Any], *arguments: str | Path) -> list[str]:
    """Return the command of a step, as a rule calls it."""
    text = canonical_json(spec)
    code = code_digest(step, json.loads(text))
    return [*_robustrepro(), step, "--spec", text, "--code", code, *map(str, arguments)]


def small_steps(folder: Path) -> dict[str, list[str]]:
    """Return commands that have nothing or next to nothing to compute; makes the data and the checkpoints they read."""
    moons, weights = folder / "two_moons", [folder / "first.safetensors", folder / "second.safetensors"]
    data = {"dataset": dataset_spec("two_moons").model_dump(mode="json"), "allow_unverified": False}
    declaration = {
        "dataset": "two_moons",
        "architecture": {"name": "mlp", "hidden": [16, 16, 16, 16]},
        "objective": {"name": "erm"},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "epochs": 1,
        "batch_size": 32,
    }
    spec = ModelDeclaration.model_validate(declaration).training_spec()

    def training(seed: int) -> list[str]:
        outputs = ("--weights", weights[seed], "--history", folder / "history.csv", "--card", folder / "card.json")
        return step_command("train", spec, "--model", "first", "--seed", str(seed), "--data", moons, *outputs)

    for command in (step_command("data", data, "--folder", moons), training(0), training(1)):
        subprocess.run(command, env=os.environ | COLD, check=True, capture_output=True)
    names = ("--model", "first", "--model", "second", "--seed", "0")
    files = ("--weights", weights[0], "--weights", weights[1], "--output", folder / "distance.parquet")
    return {
        "show --help": [*_robustrepro(), "show", "--help"],
        "measure-parameter-distance": step_command(
            "measure-parameter-distance", {"models": ["first", "second"]}, *names, *files
        ),
        "train, 1 epoch": training(0),
    }


def cost_of(command: list[str], environment: Mapping[str, str], server: int | None = None) -> Cost:
    """Run a command and return what it cost; with the process id of a warm server, also what it cost the server."""
    before, children = _with_children(server), resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    wall = time.perf_counter() - began
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = now.ru_utime + now.ru_stime - children.ru_utime - children.ru_stime
    return Cost(wall, used + _with_children(server) - before, used)


def seconds_until_ready(server: warm.WarmServer) -> float:
    """Wait until a server that was just started answers; return how long that took."""
    began = time.perf_counter()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server.address)
        receive(connection)
    return time.perf_counter() - began


def measure_steps(rounds: int) -> tuple[float, float]:
    """Run the small steps cold and warm in turn, and print what they cost.

    Returns
    -------
    Processor seconds of a warm step's client, and of the imports of the warm server.
    """
    costs: dict[tuple[str, str], list[Cost]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        commands = small_steps(Path(temporary))
        server = warm.start()
        if server is None:
            sys.exit(f"no warm start: {VARIABLE} is set, or the platform does not have what it takes")
        with server:
            ready, (imports, _) = seconds_until_ready(server), processor_seconds(server.process.pid)
            for _ in range(rounds):
                for name, command in commands.items():
                    costs.setdefault((name, "cold"), []).append(cost_of(command, os.environ | COLD))
                    costs.setdefault((name, "warm"), []).append(cost_of(command, os.environ, server.process.pid))

    print(f"One step, {rounds} rounds, cold and warm in turn; seconds, medians")
    print(f"{'step':<28}{'start':<6}{'wall':>11}{'min - max':>16}{'processor':>11}{'min - max':>16}   cold / warm")
    for (name, way), values in costs.items():
        columns = []
        for figures in ([value.wall for value in values], [value.processor for value in values]):
            columns.append(f"{statistics.median(figures):>11.2f}{min(figures):>8.2f} -{max(figures):>6.2f}")
        pairs = zip(costs[name, "cold"], values, strict=True)
        ratio = statistics.median(cold.processor / value.processor for cold, value in pairs)
        print(f"{name:<28}{way:<6}{''.join(columns)}{ratio:>10.1f}")
    print(f"target: a warm step within {TARGET_SECONDS} s")
    client = statistics.median(cost.client for (_, way), values in costs.items() if way == "warm" for cost in values)
    print(f"of a warm step its client: {client:.3f} s of processor time")
    print(f"the warm server, once a run: {imports:.1f} s of processor time, ready after {ready:.1f} s")
    return client, imports


# -- whole runs --------------------------------------------------------------------------------------------------------


EVERYTHING = [f"results/quick/{name}" for name in ("scorecard.csv", "metrics.json", "report/index.html")]


def table1_targets() -> list[str]:
    """Return what two rows of `hrm`'s Table 1 show of seed 0: six distances between six models."""
    return [
        f"results/quick/measurements/parameter_distance/moons-{first}-{size}/seed0/moons-{second}-{size}.parquet"
        for size in (16, 32)
        for first, second in (("erm", "hrm"), ("erm", "cem"), ("cem", "hrm"))
    ]


def clone(folder: Path) -> dict[str, str]:
    """Clone the last commit into ``folder`` and return the environment that runs its sources."""
    subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(folder)], check=True)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder / "src")], check=True)
    return os.environ | {"PYTHONPATH": str(folder / "src")}


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
        process.wait()
        # Not its status: that also says whether there was a scorecard to show, which a single table does not have.
        if not all((folder / target).exists() for target in targets):
            sys.exit(f"snakemake failed:\n{log.read_text()[-3000:]}")
    imports, work = recorded_seconds(folder / "results")
    steps = sum(1 for _ in (folder / "results").rglob("logs/**/*.log"))
    return RunCost(own, descendants, imports, work, steps)


def recorded_seconds(results: Path) -> tuple[float, float]:
    """Return the processor seconds that all steps needed to start, and to work, as their logs have them."""
    found = [COST.search(log.read_text(encoding="utf-8")) for log in results.rglob("logs/**/*.log")]
    pairs = [(float(match[1]), float(match[2])) for match in found if match]
    return sum(start for start, _ in pairs), sum(work for _, work in pairs)


def measure_runs(targets: list[str], ways: list[str], rounds: int, cores: int, client: float, server: float) -> None:
    """Run Snakemake in a clone, in each way in turn, and print where the processor time went.

    ``client`` and ``server`` are the processor seconds of a warm step's client and of the server's imports.
    """
    costs: dict[str, list[RunCost]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "clone"
        environments = {"warm": clone(folder)}
        environments["cold"] = environments["warm"] | COLD
        for _ in range(rounds):
            for way in ways:
                costs[way].append(cost_of_run(folder, targets, cores, environments[way]))

    steps = costs["warm"][0].steps
    what = "everything" if targets == EVERYTHING else "two rows of Table 1, one seed"
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
    inside = steps * client + imports + server
    share = inside / statistics.median(run.total for run in costs["warm"])
    print(f"warm, interpreters and imports alone: {inside:.1f} s, {share:.0%} of the total")
    print(f"  {steps} clients {steps * client:.1f}, imports of steps {imports:.1f}, of the server {server:.1f}")


def processor_seconds(process: int) -> tuple[float, float]:
    """Return the processor seconds of a process itself and of the descendants that were waited for (proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15])
    return user + system, children_user + children_system


def _with_children(process: int | None) -> float:
    return 0.0 if process is None else sum(processor_seconds(process))


def _robustrepro() -> list[str]:
    return [sys.executable, "-m", "robustrepro"]


def main() -> None:
    """Measure single steps, then whole runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of single steps (default: 3)")
    parser.add_argument("--run-rounds", type=int, default=1, help="rounds of whole runs (default: 1)")
    parser.add_argument("--cores", type=int, default=1, help="cores that snakemake uses (default: 1)")
    parser.add_argument("--full", action="store_true", help="also run all of scale quick, warm (minutes)")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    client, server = measure_steps(options.rounds)
    measure_runs(table1_targets(), ["warm", "cold"], options.run_rounds, options.cores, client, server)
    if options.full:
        measure_runs(EVERYTHING, ["warm"], options.run_rounds, options.cores, client, server)


if __name__ == "__main__":
    main()
