"""The resident process of a warm start: imports libraries once, then forks a child for each step.

It keeps nothing of the library's own code, starts no thread and touches no accelerator before a fork. It waits
without using the processor, and shuts down when its owner closes its standard input. `robustrepro.warm` says how steps
reach it.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple, cast

from robustrepro.warm import link

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Step(NamedTuple):
    """A child at work: its process id, its descriptor (pidfd), and the connection to its client."""

    process: int
    handle: int
    connection: socket.socket

    def end(self) -> None:
        """Ask it to end; after a grace, kill what is left of it and of all that it has started."""
        if os.fork() == 0:  # the server goes on meanwhile
            try:
                link.signal_step(self.process, self.handle, signal.SIGTERM)
                select.select([self.handle], [], [], link.GRACE_SECONDS)
                link.signal_step(self.process, self.handle, signal.SIGKILL)
            finally:
                os._exit(0)

    def report(self) -> None:
        """Tell the client how it ended."""
        _, status = os.waitpid(self.process, 0)
        with contextlib.suppress(OSError):  # the client may have gone
            self.connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        self.close()

    def close(self) -> None:
        """Close its descriptors."""
        os.close(self.handle)
        self.connection.close()


def main(arguments: Sequence[str]) -> None:
    """Serve steps until the owner has ended; in a forked child, run a step.

    ``arguments`` are the descriptor of the listening socket and the modules to import.
    """
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)  # they are for the steps, and for the owner, whose end is the server's
    listener = socket.socket(fileno=int(arguments[0]))
    folder, server = Path(listener.getsockname()).parent, os.getpid()
    circumstances = link.circumstances()  # before anything is imported
    for name in arguments[1:]:
        with contextlib.suppress(Exception):  # one that is missing or broken will say so in the step that needs it
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # keeps the collector of a child from touching, and so copying, what it shares with the server
    connection = None
    if len(list(Path("/proc/self/task").iterdir())) == 1:  # a fork would lose the other threads
        connection = _serve(listener)
    if connection is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() == server:  # it was not killed just before
        _answer(connection, circumstances)


def _serve(listener: socket.socket) -> socket.socket | None:
    """Fork a child for each client, until the owner closes the standard input.

    Returns
    -------
    In each child, at once, the connection to its client; in the server, at its end, None.
    """
    owner = sys.stdin.fileno()
    poll = select.poll()
    poll.register(owner, 0)  # only its hang-up, as for the connections: what a client says is for the child
    poll.register(listener, select.POLLIN)
    steps: dict[int, _Step] = {}
    clients: dict[int, _Step] = {}
    while steps or listener.fileno() >= 0:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                connection, _ = listener.accept()
                try:
                    process = os.fork()
                except OSError:  # no memory
                    connection.close()  # the client runs in its own process
                    continue
                if process == 0:
                    listener.close()
                    for step in steps.values():
                        step.close()
                    return connection
                step = _Step(process, os.pidfd_open(process), connection)
                steps[step.handle] = clients[connection.fileno()] = step
                poll.register(step.handle, select.POLLIN)
                poll.register(connection, 0)
            elif descriptor in steps:
                poll.unregister(descriptor)
                step = steps.pop(descriptor)
                if clients.pop(step.connection.fileno(), None):
                    poll.unregister(step.connection)
                step.report()
            elif descriptor in clients:
                poll.unregister(descriptor)
                clients.pop(descriptor).end()
            elif descriptor == owner:
                poll.unregister(owner)
                poll.unregister(listener)
                listener.close()  # a client that comes from now on runs in its own process
                for step in steps.values():
                    step.end()
    return None


def _answer(connection: socket.socket, circumstances: str) -> None:
    """Run the client's command in this child, unless its circumstances are not the server's."""
    os.setsid()
    for number in _STOPPING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for name in [name for name in sys.modules if name.partition(".")[0] == "robustrepro"]:
        del sys.modules[name]
    try:
        connection.sendall(b"%d\n" % os.getpid())
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as stream:
            request = ast.literal_eval(stream.read().decode())
        importlib.invalidate_caches()
        if request["circumstances"] != circumstances or not _imports_the_same(request["path"]):
            connection.sendall(b"refused\n")
            os._exit(0)
    except (OSError, SyntaxError):  # the client has gone
        os._exit(0)
    connection.close()
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    _become(request)
    _set_threads()
    _run()


def _imports_the_same(path: Sequence[str]) -> bool:
    """Tell whether a process with this module path would have imported what the server has."""
    if path == sys.path:
        return True
    for module in sys.modules.values():
        spec = getattr(module, "__spec__", None)
        if spec and spec.has_location and "." not in spec.name:
            found = PathFinder.find_spec(spec.name, path)
            if found is None or found.origin != spec.origin:
                return False
    return True


def _become(request: Mapping[str, Any]) -> None:
    """Take on all of the client that a step can see."""
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.argv[:] = request["arguments"]
    sys.orig_argv[:] = request["original_arguments"]
    sys.path[:] = request["path"]
    streams = cast("list[io.TextIOWrapper]", [sys.stdin, sys.stdout, sys.stderr])  # the interpreter's own
    sys.stdin, sys.stdout, sys.stderr = map(_reopened, streams)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _set_threads() -> None:
    """Give the libraries the numbers of threads that they read from the environment when imported."""
    modules: Mapping[str, Any] = sys.modules
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if threads.isdigit() and "torch" in modules:
        modules["torch"].set_num_threads(int(threads))
    blas_threads = os.environ.get("OPENBLAS_NUM_THREADS") or threads or str(len(os.sched_getaffinity(0)))
    if blas_threads.isdigit() and int(blas_threads) > 1 and "numpy" in modules:
        import threadpoolctl  # type: ignore[import-untyped]

        threadpoolctl.threadpool_limits(int(blas_threads), user_api="blas")


def _reopened(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Open a standard stream anew on what its descriptor is now, in the form that the interpreter gave it."""
    unbuffered = stream.write_through and stream.writable()
    binary = open(stream.fileno(), f"{stream.mode}b", 0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    by_line = stream.line_buffering or (binary.isatty() and not stream.write_through)
    return io.TextIOWrapper(binary, stream.encoding, stream.errors, None, by_line, stream.write_through)


def _run() -> None:
    """Run the command, and end this process without tearing down the interpreter and the server's libraries.

    The libraries' exit handlers alone would take 65 ms of processor time, and some complain about objects that a fork
    left them. What is a step's own is done: its threads end, its exit handlers run, and what Python and C code have
    printed is written. Finalizers of `weakref` do not run, since the libraries use their handler too: a step closes
    what it opens.
    """
    code = 0

    @atexit.register  # before the step's own handlers, and after those of the libraries, which are never reached
    def leave() -> None:
        for written in gc.get_objects():  # the step's own: the server's are frozen
            if isinstance(written, io.IOBase) and not written.closed and written.writable():
                written.flush()
        ctypes.CDLL(None).fflush(None)
        link.end_as(code)

    try:
        if sys.orig_argv[1] == "-m":
            runpy.run_module("robustrepro", run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)  # noqa: T201
    except BaseException as error:
        code = -int(signal.SIGINT) if isinstance(error, KeyboardInterrupt) else 1
        sys.excepthook(*sys.exc_info())  # as the interpreter does
