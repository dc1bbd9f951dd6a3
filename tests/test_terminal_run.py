"""A real run of Snakemake, followed: what is printed, where the rest goes, how signals and its end are passed on."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from robustrepro.terminal.progress import RunState
from robustrepro.terminal.reproduce import reproduce

SNAKEFILE = """
from robustrepro.terminal.events import jobs_to_come, tell_the_follower, tell_what_is_asked
follower = tell_the_follower()
if follower:
    tell_what_is_asked(workflow, follower, "results/quick")
onstart:
    if follower:
        follower.tell(jobs_to_come(workflow))
rule all:
    default_target: True
    input: "one"
rule one:
    output: "one"
    benchmark: "benchmarks/train/one.tsv"
    shell: "echo what a job says >&2; touch {output}"
rule broken:
    output: "broken"
    log: "broken.log"
    benchmark: "benchmarks/train/broken.tsv"
    shell: "seq 100 > {log}; echo 'the reason' >> {log}; false"
rule long:
    output: "long"
    benchmark: "benchmarks/train/long.tsv"
    # One process, which hears an interrupt from before it says that it has begun.
    shell: f"{sys.executable} -c 'import time; open(\\"begun\\", \\"w\\").close(); time.sleep(60)'"
"""
RUN = "import sys; from robustrepro.terminal.reproduce import reproduce; sys.exit(reproduce(sys.argv[1:], print))"


@pytest.fixture
def workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small workflow, which is the working directory."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Said:
    status: int
    out: str
    err: str


def run(*arguments: str) -> Said:
    done = subprocess.run(
        [sys.executable, "-c", RUN, "--cores", "1", *arguments], capture_output=True, text=True, check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


def run_log(folder: Path) -> str:
    (log,) = (folder / ".snakemake/log").glob("*.run.log")
    return log.read_text(encoding="utf-8")


def test_the_output_of_snakemake_and_its_jobs_is_in_a_log(workflow: Path) -> None:
    said = run("one")
    assert said.status == 0
    assert re.fullmatch(r"1 job in \d+ s\.\n", said.out)
    assert "what a job says" in run_log(workflow)
    assert "rule one" in run_log(workflow)
    assert "rule one" not in said.out + said.err
    assert said.err.startswith("planning\n")
    assert said.err.endswith("1 of 1 jobs done\n")
    assert "\x1b" not in said.err


def test_a_run_that_has_nothing_to_do_says_so_and_answers_all_the_same(workflow: Path) -> None:
    (workflow / "one").touch()
    told: list[str] = []

    def answer(state: RunState) -> list[str]:
        return [f"{state.folder} {state.answers}"]

    assert reproduce(["--cores", "1"], told.append, answer) == 0
    assert told == ["Nothing to do: every result is up to date.", "results/quick True"]


@pytest.mark.usefixtures("workflow")
def test_a_failed_step_is_named_with_its_last_lines_and_the_logs_come_last() -> None:
    said = run("broken")
    assert said.status == 1
    lines = said.err.splitlines()
    begin = lines.index("failed: train/broken")
    assert lines[begin + 1 : -1] == [
        *(f"    {number}" for number in range(92, 101)),
        "    the reason",
        "its log: broken.log",
    ]
    assert re.fullmatch(r"log of the run: \.snakemake/log/\S+\.run\.log", lines[-1])
    assert said.out == ""


@pytest.mark.usefixtures("workflow")
def test_a_mistake_in_what_is_asked_for_is_shown() -> None:
    said = run("nothing_of_this_name")
    assert said.status == 1
    assert "MissingRuleException" in said.err
    assert "nothing_of_this_name" in said.err


@pytest.mark.usefixtures("workflow")
def test_a_mistake_before_snakemake_reads_the_workflow_is_shown() -> None:
    said = run("--no-such-option")
    assert said.status == 2
    assert "unrecognized arguments: --no-such-option" in said.err


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path.name} never came"
        time.sleep(0.05)


def read_until(terminal: int, text: bytes) -> bytes:
    """Return what is written to a terminal until a text is there, or all that is written without one."""
    written = b""
    while not (text and text in written) and select.select([terminal], [], [], 60)[0]:
        try:
            read = os.read(terminal, 1 << 16)
        except OSError:  # the other side is closed
            break
        if not read:
            break
        written += read
    return written


def heed_interrupts() -> None:
    """Let a process hear Ctrl-C also where these tests were started in the background by a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_last_line_after_ctrl_c_says_how_to_go_on_and_no_job_lives_on(workflow: Path) -> None:
    process, terminal = pty.fork()
    if process == 0:
        heed_interrupts()
        os.execv(sys.executable, [sys.executable, "-c", RUN, "--cores", "1", "long"])
    wait_for(workflow / "begun")
    assert b"running train/long" in read_until(terminal, b"running train/long")
    os.write(terminal, b"\x03")
    last = read_until(terminal, b"").decode().rstrip("\r\n").splitlines()[-1]
    _, status = os.waitpid(process, 0)
    assert last == "Interrupted after 0 of 1 jobs. Run the same command again to go on: what is done is kept."
    assert os.waitstatus_to_exitcode(status) == 1
    assert not (workflow / "long").exists()


def test_a_signal_to_end_is_passed_on(workflow: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "--cores", "1", "long"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    wait_for(workflow / "begun")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("Interrupted after 0 of 1 jobs.")


def test_snakemake_goes_on_when_nobody_reads_what_it_tells(workflow: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "ROBUSTREPRO_EVENTS": str(writing)}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "one"]
    subprocess.run(command, env=environment, pass_fds=[writing], capture_output=True, check=True)
    os.close(writing)
    assert (workflow / "one").exists()
