"""Warm start, with real servers that preload next to nothing."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_steps import (
    ENDLESS_DEAF,
    ENDLESS_MEEK,
    PARENT,
    begin,
    eventually,
    gone,
    install,
    parent_of,
    processes_of,
    run,
    state_of,
)

from robustrepro import warm


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = install(tmp_path / "checkout")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    return folder


@pytest.fixture
def server(checkout: Path) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ARG001
    with warm.start(["colorsys", "a_module_that_is_missing"]) as server:
        yield server


def test_a_step_is_a_child_of_the_server_and_finds_its_modules_imported(server):
    status, output, _ = run(PARENT + "; print('colorsys' in sys.modules)")
    assert (status, output.decode().split()) == (0, [str(server.pid), "True"])


def test_an_edit_of_our_code_between_two_steps_is_seen(server, checkout):
    code = "import robustrepro.part as part; print(part.VALUE)"
    (checkout / "robustrepro" / "part.py").write_text("VALUE = 'before'\n")
    assert run(code)[1] == b"before\n"
    (checkout / "robustrepro" / "part.py").write_text("VALUE = 'after'\n")
    assert run(code)[1] == b"after\n"
    (checkout / "robustrepro" / "command_line.py").write_text(
        "def main():\n    import os; print('new', os.getppid())\n"
    )
    assert run(code)[1].decode().split() == ["new", str(server.pid)]


def test_the_library_is_not_imported_before_the_step(server):
    (Path(os.environ["PYTHONPATH"]) / "robustrepro" / "command_line.py").write_text(
        "import sys\nFOUND = sorted(name for name in sys.modules if name.startswith('robustrepro'))\n"
        "def main(): import os; print(*FOUND, os.getppid())\n"
    )
    own = [f"robustrepro{name}" for name in ("", ".command_line", ".warm", ".warm.client", ".warm.link")]
    assert run("")[1].decode().split() == [*own, str(server.pid)]


def test_a_step_of_another_checkout_runs_the_code_of_that_checkout(server, tmp_path):
    other = install(tmp_path / "other", "import os\ndef main(): print('other', os.getppid())\n")
    output = run("", env={**os.environ, "PYTHONPATH": str(other)})[1]
    assert output.decode().split() == ["other", str(server.pid)]


def test_exit_status_and_streams_come_back_unchanged(server):
    given = bytes(range(256)) * 8192  # 2 MiB: more than any pipe holds
    code = (
        "import os, sys; data = sys.stdin.buffer.read(); sys.stderr.buffer.write(data[::-1]);"
        "sys.stdout.buffer.write(data); print('é', os.getppid()); print('last', file=sys.stderr); sys.exit(37)"
    )
    status, output, errors = run(code, stdin=given)
    assert status == 37
    assert output == given + f"é {server.pid}\n".encode()
    assert errors == given[::-1] + b"last\n"


def test_an_uncaught_error_is_reported_as_in_its_own_process(server):  # noqa: ARG001
    status, _, errors = run("raise RuntimeError('broken')")
    assert status == 1
    assert errors.endswith(b"RuntimeError: broken\n")


def test_what_c_code_printed_and_what_was_left_open_is_written_at_the_end(server, tmp_path):  # noqa: ARG001
    code = (
        "import atexit, ctypes, sys, robustrepro\natexit.register(print, 'at exit')\n"
        "ctypes.CDLL(None).printf(b'from C;');"
        "\nrobustrepro.left_open = open(sys.argv[2], 'w'); robustrepro.left_open.write('kept'); sys.exit(3)"
    )
    status, output, _ = run(code, tmp_path / "file")
    assert status == 3
    assert b"at exit\n" in output
    assert b"from C;" in output
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("way", ["module", "console script"])
def test_a_step_sees_what_it_would_see_in_its_own_process(server, checkout, tmp_path, way):
    code = (
        "import os, signal, sys, __main__; mask = os.umask(0); print(os.getcwd(), sys.argv, sys.orig_argv, sys.path,"
        "sorted(os.environ.items()), mask, sys.executable,"
        "__main__.__name__, __main__.__package__ or '', __main__.__file__,"
        "[(s.encoding, s.errors, s.line_buffering) for s in (sys.stdin, sys.stdout, sys.stderr)],"
        "[signal.getsignal(number) for number in (1, 2, 15)], sys.flags, sep='\\n'); print(os.getppid())"
    )
    script = tmp_path / "bin" / "robustrepro"
    script.parent.mkdir()
    script.write_text(
        "import sys\nfrom robustrepro.__main__ import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    )
    command = [sys.executable, *(["-m", "robustrepro"] if way == "module" else [script]), code, "--name", "ü"]
    environment = {**os.environ, "SOMETHING": "of the step", "TZ": "Asia/Tokyo"}
    options = {"capture_output": True, "cwd": checkout, "umask": 0o027, "check": True}
    warmly = subprocess.run(command, env=environment, **options).stdout.splitlines()
    del environment[warm.VARIABLE]
    cold = subprocess.run(command, env=environment, **options).stdout.splitlines()
    assert warmly[:-1] == cold[:-1]
    assert (int(warmly[-1]), int(cold[-1])) == (server.pid, os.getpid())


def test_numbers_of_threads_are_set_in_the_step(checkout):
    (checkout / "torch.py").write_text("THREADS = []\nset_num_threads = THREADS.append\n")
    code = PARENT + "; import torch; print(torch.THREADS)"
    with warm.start(["torch"]) as server:
        output = run(code, env={**os.environ, "OMP_NUM_THREADS": "3"})[1]
    assert output.decode().splitlines() == [str(server.pid), "[3]"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGINT])
def test_death_by_a_signal_is_reported(server, number):  # noqa: ARG001
    assert run(
        f"import os, signal; signal.signal({number}, 0) if {number} != 9 else 0; os.kill(os.getpid(), {number})"
    ) == (
        -number,
        b"",
        b"",
    )


def test_what_the_client_ignores_the_step_ignores(server):
    code = "import os, signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, os.getppid())"
    for ignored in (False, True):
        action = signal.SIG_IGN if ignored else signal.SIG_DFL
        output = run(code, preexec_fn=lambda action=action: signal.signal(signal.SIGHUP, action))[1]
        assert output.decode().split() == [str(ignored), str(server.pid)]


def test_an_interrupt_of_the_client_interrupts_the_step(server, tmp_path):  # noqa: ARG001
    code = (
        "import pathlib, sys, time\n"
        "try:\n    pathlib.Path(sys.argv[2]).touch(); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('checkpoint'); sys.exit(5)"
    )
    step = begin(code, tmp_path / "begun")
    assert eventually((tmp_path / "begun").exists)
    step.send_signal(signal.SIGINT)
    assert step.communicate(timeout=15) == (b"checkpoint\n", b"")
    assert step.returncode == 5


def test_an_interrupt_ends_a_step_that_does_not_expect_it_and_what_it_started(server, tmp_path):  # noqa: ARG001
    step = begin(ENDLESS_MEEK, tmp_path / "begun")
    processes = processes_of(tmp_path / "begun")
    step.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in step.communicate(timeout=15)[1]
    assert step.returncode == -signal.SIGINT
    assert eventually(lambda: gone(*processes))  # what it started is killed, and ends a moment later


def test_stopping_and_continuing_the_client_stops_and_continues_the_step(server, tmp_path):  # noqa: ARG001
    step = begin(ENDLESS_MEEK, tmp_path / "begun")
    processes = [step.pid, *processes_of(tmp_path / "begun")]
    step.send_signal(signal.SIGTSTP)
    assert eventually(lambda: {state_of(process) for process in processes} == {"T"})
    step.send_signal(signal.SIGCONT)
    assert eventually(lambda: {state_of(process) for process in processes} == {"S"})
    step.kill()
    assert eventually(lambda: gone(*processes))


@pytest.mark.parametrize("code", [ENDLESS_MEEK, ENDLESS_DEAF], ids=["meek", "deaf to SIGTERM"])
def test_killing_the_client_ends_the_step_and_what_it_started(server, tmp_path, code):
    step = begin(code, tmp_path / "begun")
    processes = processes_of(tmp_path / "begun")
    assert not gone(*processes)
    step.kill()
    assert eventually(lambda: gone(*processes))
    assert parent_of() == server.pid


def test_a_killed_server_harms_no_run(server, tmp_path):
    again = f"import os, sys\nif os.path.exists(sys.argv[2]):\n    print('done'); sys.exit(4)\n{ENDLESS_MEEK}"
    step = begin(again, tmp_path / "begun")
    processes = processes_of(tmp_path / "begun")
    server.kill()
    assert step.communicate(timeout=15) == (b"done\n", b"")
    assert step.returncode == 4
    assert eventually(lambda: gone(*processes))  # the system ends them with the server, but not at once
    assert parent_of() == os.getpid()


def test_a_step_never_outlives_its_server_and_its_client(server, tmp_path):
    step = begin(ENDLESS_MEEK, tmp_path / "begun")
    process, other = processes_of(tmp_path / "begun")
    step.send_signal(signal.SIGSTOP)  # so that the client can do nothing about it
    server.kill()
    assert eventually(lambda: gone(process))
    step.kill()
    os.kill(other, signal.SIGKILL)


@pytest.mark.parametrize("code", [ENDLESS_MEEK, ENDLESS_DEAF], ids=["meek", "deaf to SIGTERM"])
@pytest.mark.usefixtures("checkout")
def test_stopping_the_server_ends_its_steps_for_good(tmp_path, code):
    with warm.start(["colorsys"]) as server:
        address = Path(os.environ[warm.VARIABLE])
        step = begin(code, tmp_path / "begun")
        processes = processes_of(tmp_path / "begun")
        assert address.exists()
    assert step.wait(15) == -(signal.SIGTERM if code == ENDLESS_MEEK else signal.SIGKILL)
    assert eventually(lambda: gone(server.pid, *processes))
    assert not address.parent.exists()
    assert warm.VARIABLE not in os.environ


def test_a_server_leaves_with_its_owner_and_removes_its_socket(checkout, tmp_path):
    code = "import os\nfrom robustrepro import warm\nwith warm.start(['colorsys']) as server:\n"
    code += "    print(os.environ[warm.VARIABLE], server.pid, flush=True)\n    input()\n"
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=checkout)
    address, process = owner.stdout.readline().decode().split()
    assert Path(address).parent.stat().st_mode & 0o777 == 0o700
    step = begin(ENDLESS_MEEK, tmp_path / "begun", env={**os.environ, warm.VARIABLE: address})
    processes = processes_of(tmp_path / "begun")
    assert not gone(int(process), *processes)
    owner.kill()
    owner.wait()
    assert eventually(lambda: gone(int(process), *processes))
    assert not Path(address).parent.exists()
    assert step.wait(15) == -signal.SIGTERM


def test_without_a_socket_a_step_runs_in_its_own_process(checkout, tmp_path):  # noqa: ARG001
    assert parent_of(env={**os.environ, warm.VARIABLE: str(tmp_path / "missing")}) == os.getpid()


def test_with_other_variables_of_the_interpreter_a_step_runs_in_its_own_process(server):
    assert parent_of(env={**os.environ, "ANYTHING_ELSE": "1"}) == server.pid
    assert parent_of(env={**os.environ, "PYTHONHASHSEED": "1"}) == os.getpid()


def test_with_other_limits_a_step_runs_in_its_own_process(server):
    assert server.poll() is None
    command = f"ulimit -n 64; exec {sys.executable} -m robustrepro '{PARENT}'"
    output = subprocess.run(["bash", "-c", f"echo $$; {command}"], capture_output=True, check=True).stdout
    assert int(output.split()[1]) == os.getpid()


def test_after_a_change_of_the_packages_a_step_runs_in_its_own_process(checkout, tmp_path, monkeypatch):
    packages = tmp_path / "site-packages"
    (packages / "one-1.0.dist-info").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", f"{checkout}:{packages}")
    with warm.start(["colorsys"]) as server:
        assert parent_of() == server.pid
        (packages / "one-1.0.dist-info").rename(packages / "one-1.1.dist-info")
        assert parent_of() == os.getpid()


def test_with_its_own_version_of_a_preloaded_module_a_step_runs_in_its_own_process(server, tmp_path):
    (tmp_path / "own").mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{tmp_path / 'own'}"}
    (tmp_path / "own" / "colorsys").touch()  # no module
    assert parent_of(env=environment) == server.pid
    (tmp_path / "own" / "colorsys.py").touch()
    assert parent_of(env=environment) == os.getpid()


def test_a_step_that_comes_early_waits_for_the_server(checkout):
    (checkout / "slow.py").write_text("import time\ntime.sleep(1)\n")
    with warm.start(["slow"]) as server:
        assert parent_of() == server.pid


def test_a_server_with_a_thread_forks_nothing(checkout):
    (checkout / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n"
    )
    with warm.start(["threaded"]):
        assert parent_of() == os.getpid()


def test_steps_run_in_parallel(server, tmp_path):
    code = (
        "import os, pathlib, sys, time\npathlib.Path(sys.argv[2]).touch()\n"
        "while not pathlib.Path(sys.argv[3]).exists(): time.sleep(0.01)\nprint(os.getppid())"
    )
    names = [tmp_path / "one", tmp_path / "two"]
    steps = [begin(code, *names), begin(code, *reversed(names))]
    assert [int(step.communicate(timeout=15)[0]) for step in steps] == [server.pid] * 2


def test_an_idle_server_uses_no_processor_time(server):
    def used() -> list[str]:
        return Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]

    step = begin("import time; time.sleep(1)")
    assert parent_of() == server.pid
    before = used()
    time.sleep(0.6)
    assert used() == before
    step.wait(15)


def test_no_server_is_started_where_one_is_or_where_it_is_switched_off(server, monkeypatch):
    with warm.start() as another:
        assert another is None
        assert parent_of() == server.pid
    assert parent_of() == server.pid
    with monkeypatch.context() as changed:
        changed.setenv(warm.VARIABLE, warm.OFF)
        with warm.start() as another:
            assert another is None
            assert parent_of() == os.getpid()


@pytest.mark.parametrize("fault", ["no folder", "a long folder", "no process"])
@pytest.mark.usefixtures("checkout")
def test_a_run_that_cannot_start_warmly_goes_on_and_says_so_in_one_line(tmp_path, monkeypatch, capsys, fault):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(warm, "LONGEST_FOLDER", 1000)
    if fault == "no folder":
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    elif fault == "a long folder":
        long = tmp_path / ("x" * 100)
        long.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(long))
    else:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with warm.start(["colorsys"]) as server:
        assert server is None
        assert warm.VARIABLE not in os.environ
    assert re.fullmatch(r"No warm start \(.+\): each step imports its libraries itself.*\n", capsys.readouterr().err)
    assert [path for path in tmp_path.rglob("*") if path.name.startswith("robustrepro-")] == []


@pytest.mark.usefixtures("checkout")
def test_a_long_temporary_folder_is_passed_over(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with warm.start(["colorsys"]) as server:
        assert parent_of() == server.pid


def test_the_real_libraries_are_preloaded_without_a_thread(checkout):  # noqa: ARG001
    code = PARENT + "; print({'torch', 'pandas', 'seaborn', 'pyarrow', 'filelock'} <= set(sys.modules))"
    code += "; import torch; print(float(torch.ones(3) @ torch.ones(3)))"
    with warm.start() as server:
        # A busy machine may need longer to import than a step waits.
        assert eventually(lambda: parent_of() == server.pid, seconds=90)
        assert run(code)[1].decode().split() == [str(server.pid), "True", "3.0"]


def test_training_and_attacks_import_nothing_that_only_tables_and_figures_need():
    code = (
        "import importlib, pkgutil, sys, robustrepro.attacks, robustrepro.training.step\n"
        "for module in pkgutil.iter_modules(robustrepro.attacks.__path__, 'robustrepro.attacks.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(*{'pandas', 'seaborn', 'matplotlib'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.split() == []
