"""What surrounds every step: its log, its progress, a clean shutdown, and what a card says about the run."""

from __future__ import annotations

import inspect
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from robustrepro import command_line, provenance, steps
from robustrepro.errors import UserError
from robustrepro.implementations import resolve
from robustrepro.locks import writing
from robustrepro.spec.sources import PACKAGE, STATE, STEPS, code_digest
from robustrepro.steps import LOGGER, Progress, ProgressBar, Work, running

RUNS = ["robustrepro.measures.parameter_distance:measure"]
SPEC = json.dumps({"measure": {"kind": "parameter_distance"}, "runs": RUNS})
STEP = "measure"


@pytest.fixture(scope="module")
def code() -> str:
    return code_digest(STEP, RUNS)


def test_a_step_gets_its_spec_and_writes_to_terminal_and_log(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "step.log"
    with running(STEP, SPEC, code, log, [tmp_path / "out"]) as resolved:
        assert resolved == json.loads(SPEC)
        LOGGER.info("half way")
    assert capsys.readouterr().err == "half way\n"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d half way\n", log.read_text())
    assert LOGGER.handlers == []


def test_a_step_of_other_sources_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STATE, raising=False)
    with (
        pytest.raises(UserError, match=f"step {STEP}: its sources under robustrepro/ were edited"),
        running(STEP, SPEC, "0" * 64, tmp_path / "step.log", [tmp_path / "out"]),
    ):
        pytest.fail("the step ran")
    assert "stopped: step measure: its sources" in (tmp_path / "step.log").read_text()


def test_the_digest_is_that_of_what_the_spec_says_it_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(STATE, raising=False)
    other = json.dumps({"measure": {"kind": "losses"}, "runs": ["robustrepro.measures.losses:measure"]})
    with pytest.raises(UserError, match="its sources"), running(STEP, other, code, None, [tmp_path / "out"]):
        pytest.fail("the step ran")


@pytest.mark.parametrize(
    ("spec", "message"),
    [("{", "--spec: not JSON"), ("[]", "--spec: expected a mapping"), ('{"models":[]}', "a list under 'runs'")],
)
def test_a_spec_that_is_none_is_told_in_one_message(spec: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message), running(STEP, spec, "0" * 64, None, [tmp_path / "out"]):
        pytest.fail("the step ran")


def test_a_step_in_a_checkout_whose_code_it_does_not_run_is_refused_with_both_places(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "checkout/src/robustrepro"
    own.mkdir(parents=True)
    monkeypatch.chdir(own.parents[1])
    output = tmp_path / "out"
    with running(STEP, SPEC, code, None, [output]):
        pass  # not a checkout: a folder of that name without the package
    (own / "__init__.py").touch()
    with pytest.raises(UserError) as caught, running(STEP, SPEC, code, None, [output]):
        pytest.fail("the step ran")
    message = str(caught.value)
    assert f"is in {own}, but robustrepro is imported from {PACKAGE}" in message
    assert message.endswith(f"Run `make setup` here and use the commands in .venv/bin, or set PYTHONPATH={own.parent}")


def test_a_checkout_reached_by_another_path_is_the_same_checkout(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(PACKAGE.parents[1])
    monkeypatch.chdir(tmp_path / "link")
    with running(STEP, SPEC, code, None, [tmp_path / "out"]) as resolved:
        assert resolved


def test_the_commit_is_that_of_the_start_of_a_step(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provenance.commit.cache_clear()
    monkeypatch.setattr(provenance, "commit_of", lambda _: "of the start")
    with running(STEP, SPEC, code, None, [tmp_path / "out"]):
        monkeypatch.setattr(provenance, "commit_of", lambda _: "of a commit made meanwhile")
        assert provenance.commit() == "of the start"
    provenance.commit.cache_clear()


def test_a_step_whose_output_another_process_writes_is_refused_and_touches_no_log(code: str, tmp_path: Path) -> None:
    log, output = tmp_path / "step.log", tmp_path / "clean/seed0.parquet"
    with running(STEP, SPEC, code, log, [output, tmp_path / "second"]):
        LOGGER.info("at work")
        with (
            pytest.raises(UserError, match=f"process {os.getpid()} is writing"),
            running(STEP, SPEC, code, log, [output]),
        ):
            pytest.fail("the step ran")
        assert log.read_text().endswith(" at work\n")
        with running(STEP, SPEC, code, None, [tmp_path / "clean/seed1.parquet"]):
            pass
    with running(STEP, SPEC, code, None, [output]):
        pass


def test_a_log_that_cannot_be_written_ends_no_step(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").touch()
    log = tmp_path / "logs/step.log"
    with running(STEP, SPEC, code, log, [tmp_path / "out"]):
        LOGGER.info("half way")
    assert capsys.readouterr().err == f"{log}: no log is kept, since it cannot be written (File exists)\nhalf way\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_on_a_full_disk_ends_no_step(code: str, tmp_path: Path) -> None:
    (tmp_path / "step.log").symlink_to("/dev/full")
    with running(STEP, SPEC, code, tmp_path / "step.log", [tmp_path / "out"]) as resolved:
        LOGGER.info("half way")
    assert resolved


def test_a_termination_signal_shuts_a_step_down_cleanly(code: str, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), running(STEP, SPEC, code, tmp_path / "step.log", [tmp_path / "out"]):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / "step.log").read_text().endswith("stopped: KeyboardInterrupt\n")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("the key is wrong"), 2, "robustrepro: the key is wrong\n"),
        (KeyboardInterrupt(), 130, "robustrepro: interrupted; run the same command again to continue\n"),
    ],
    ids=["a mistake", "an interrupt"],
)
def test_the_command_line_says_in_one_line_why_it_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, said: str
) -> None:
    def fail(_: Path) -> None:
        raise error

    monkeypatch.setattr("robustrepro.scorecard.show.show_scorecard", fail)
    monkeypatch.setattr("sys.argv", ["robustrepro", "show", "quick"])
    commands = len(command_line.app.registered_commands)
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    assert caught.value.code == status
    assert capsys.readouterr().err == said
    assert len(command_line.app.registered_commands) == commands  # left out for that call only


# -- the one command of all steps ----------------------------------------------------------------------------


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """What the step ``measure`` is asked to do, which it does not do."""
    asked: list[Work] = []
    monkeypatch.setattr("robustrepro.measures.step.run", asked.append)
    monkeypatch.delenv(command_line.ADOPT_VARIABLE, raising=False)
    return asked


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Return the exit status of the command line."""
    monkeypatch.setattr("sys.argv", ["robustrepro", *arguments])
    with pytest.raises(SystemExit) as caught:
        command_line.main()
    return int(caught.value.code or 0)


def command(code: str, *arguments: str, step: str = STEP) -> list[str]:
    return ["run", step, "--spec", SPEC, "--code", code, *arguments]


def test_a_step_gets_its_inputs_by_role_and_its_outputs_in_order(
    code: str, done: list[Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = ["--input", "weights=b", "--input", "data=d/manifest.json", "--input", "weights=a=1"]
    outputs = ["--output", "second", "--output", "first"]
    log = tmp_path / "logs/step.log"
    assert status_of(monkeypatch, *command(code, *inputs, *outputs, "--log", str(log))) == 0
    assert done == [
        Work(
            json.loads(SPEC),
            code,
            {"weights": [Path("b"), Path("a=1")], "data": [Path("d/manifest.json")]},
            [Path("second"), Path("first")],
        )
    ]
    assert "processor time" in log.read_text()


def test_an_unknown_step_is_named_with_the_nearest_one(
    code: str, done: list[Work], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, *command(code, "--output", "out", step="measures")) == 2
    message = capsys.readouterr().err
    assert message.startswith("robustrepro: unknown step: 'measures'; did you mean 'measure'? (known: audit, data,")
    assert not done


def test_the_command_refuses_an_output_that_is_being_written(
    code: str, done: list[Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "seed0.parquet"
    with writing(output):
        assert status_of(monkeypatch, *command(code, "--output", str(output))) == 2
        assert "is writing this output; wait for it or stop it" in capsys.readouterr().err
    assert not done


@pytest.mark.parametrize("text", ["weights", "=weights", "weights="])
def test_an_input_without_a_role_or_a_path_is_refused(
    code: str, done: list[Work], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert status_of(monkeypatch, *command(code, "--input", text, "--output", "out")) == 2
    assert capsys.readouterr().err.endswith(f"robustrepro: --input {text}: expected ROLE=PATH\n")
    assert not done


@pytest.mark.parametrize(("error", "status"), [(UserError("the key is wrong"), 2), (KeyboardInterrupt(), 130)])
def test_the_exit_status_of_a_step_tells_a_mistake_from_an_interrupt(
    code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException, status: int
) -> None:
    def fail(_: Work) -> None:
        raise error

    monkeypatch.setattr("robustrepro.measures.step.run", fail)
    log = tmp_path / "step.log"
    assert status_of(monkeypatch, *command(code, "--output", "out", "--log", str(log))) == status
    assert f"stopped: {str(error) or 'KeyboardInterrupt'}\n" in log.read_text()


def test_every_step_is_a_function_of_its_work() -> None:
    for target in STEPS.values():
        assert list(inspect.signature(resolve(target)).parameters) == ["work"], target


# -- progress ------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[list[tuple[str, bool]]]:
    """Messages, and whether each is for the log alone."""
    found: list[tuple[str, bool]] = []

    class Listing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((record.getMessage(), getattr(record, "only_in_log", False)))

    handler = Listing()
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    yield found
    LOGGER.removeHandler(handler)
    LOGGER.setLevel(level)


def test_without_a_terminal_progress_is_a_line_now_and_then_and_every_line_in_the_log(
    lines: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with ProgressBar("a model", 8, done=1) as progress:
        progress.advance(1, "loss 2")
        now += steps.SECONDS_BETWEEN_LINES
        progress.advance(2)
        progress.advance(3)
        progress.advance(1)
    assert lines == [
        ("a model: 2 of 8, loss 2", True),
        ("a model: 4 of 8", False),
        ("a model: 7 of 8", True),
        ("a model: 8 of 8", False),
    ]


def test_the_progress_of_a_measurement_counts_to_what_its_kind_expects(lines: list[tuple[str, bool]]) -> None:
    with Progress("m, seed 3, clean") as progress:
        progress.expect(5)
        progress.advance(2)
        progress.advance(3, "margin 0.1")
    assert lines == [("m, seed 3, clean: 2 of 5", True), ("m, seed 3, clean: 5 of 5, margin 0.1", False)]


def test_a_measurement_that_expects_nothing_says_nothing(lines: list[tuple[str, bool]]) -> None:
    with Progress("m, seed 3, grid") as progress:
        progress.advance(1)
    assert lines == []


class Terminal(io.StringIO):
    """A terminal that keeps what is drawn on it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("asked", ["", "lines"])
def test_in_a_terminal_progress_is_a_bar_unless_lines_are_asked_for(
    lines: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("ROBUSTREPRO_PROGRESS", asked)
    with ProgressBar("a model", 8) as progress:
        progress.advance(8, "done")
    assert lines == [("a model: 8 of 8, done", asked == "")]
    assert ("a model" in terminal.getvalue()) == (asked == "")


def test_a_bar_shows_square_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("ROBUSTREPRO_PROGRESS", "")
    with ProgressBar("accuracy [/5]", 8) as progress:
        progress.advance(8, "of [bold] and [/red]")
    assert "accuracy [/5]" in terminal.getvalue()
    assert "of [bold] and [/red]" in terminal.getvalue()


def test_without_a_standard_error_progress_goes_to_the_log(
    lines: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with ProgressBar("a model", 8) as progress:
        progress.advance(8)
    assert lines == [("a model: 8 of 8", False)]


def test_a_terminal_that_hung_up_ends_no_step(lines: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch) -> None:
    class HungUp(Terminal):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("sys.stderr", HungUp())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("ROBUSTREPRO_PROGRESS", "")
    with ProgressBar("a model", 8) as progress:
        progress.advance(8, "done")
    assert lines == [("no bar is shown: [Errno 5] Input/output error", True), ("a model: 8 of 8, done", False)]


def test_a_card_knows_the_versions_that_decide_numbers() -> None:
    found = provenance.versions()
    assert {"python", "torch", "numpy", "safetensors", "robustrepro"} <= found.keys()
    assert "not installed" not in found.values()


def test_usage_is_of_this_process() -> None:
    usage = provenance.Usage()
    total = sum(range(300_000))
    measured = usage.measured()
    assert total
    assert 0 < measured["cpu_seconds"] <= measured["seconds"] + 0.1
    assert 10 < measured["peak_memory_mb"] < 100_000


def test_threads_are_recorded_only_where_torch_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert provenance.Usage().measured()["threads"] == torch.get_num_threads()
    monkeypatch.delitem(sys.modules, "torch")
    assert "threads" not in provenance.Usage().measured()


@pytest.fixture
def asked_anew() -> Iterator[None]:
    provenance.processor.cache_clear()
    yield
    provenance.processor.cache_clear()


@pytest.mark.usefixtures("asked_anew")
def test_the_processor_is_known_by_the_model_that_the_system_names(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "processor\t: 0\nmodel\t\t: 106\nmodel name\t: Some  CPU @ 2.90GHz\nprocessor\t: 1\n"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: listed)
    assert provenance.processor() == "Some CPU @ 2.90GHz"


@pytest.mark.usefixtures("asked_anew")
def test_the_processor_of_a_mac_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 0, "Apple M9\n", "")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: done if command[0] == "sysctl" else None)
    assert provenance.processor() == "Apple M9"


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize(("system", "said"), [("linux", "aarch64"), ("darwin", "aarch64")])
def test_a_processor_that_the_system_does_not_name_is_known_by_its_architecture(
    monkeypatch: pytest.MonkeyPatch, system: str, said: str
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(subprocess, "run", missing)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert provenance.processor() == said
