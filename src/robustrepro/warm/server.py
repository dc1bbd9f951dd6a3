"""The resident process of a warm start: imports libraries once, then forks a child for each step.

It keeps nothing of the library's own code, starts no thread and touches no accelerator before a fork. It waits
without using the processor, and leaves when its owner has ended. `robustrepro.warm` says how steps reach it.

Only the standard library is imported here.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import linecache
import math
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from robustrepro.warm import link

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Step:
    """A child at work for a client.

    Parameters
    ----------
    process, handle
        Process id of the child, and a descriptor (pidfd) of it.
    connection
        To its client.
    """

    def __init__(self, process: int, connection: socket.socket) -> None:
        self.process = process
        self.handle = os.pidfd_open(process)
        self.connection = connection
        self.ending = False
        self.kill_at = math.inf

    def end(self) -> None:
        """Ask the step to end, with a delay after which it is killed."""
        if not self.ending:
            self.ending = True
            self.kill_at = time.monotonic() + link.GRACE_SECONDS
            link.signal_step(self.process, self.handle, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the step and everything that it has started."""
        self.kill_at = math.inf
        link.signal_step(self.process, self.handle, signal.SIGKILL)

    def report(self) -> None:
        """Tell the client how the step ended."""
        if self.ending:
            self.kill()  # what it started may outlive it, not its client
        _, status = os.waitpid(self.process, 0)
        with contextlib.suppress(OSError):  # the client may have gone
            link.send(self.connection, status)
        self.close()

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.handle)
        self.connection.close()


def main(arguments: Sequence[str]) -> None:
    """Serve steps until the owner has ended; in a forked child, run a step.

    Parameters
    ----------
    arguments
        Descriptor of the listening socket, process id of the owner, and the modules to import.
    """
    listener = socket.socket(fileno=int(arguments[0]))
    server = os.getpid()
    address = Path(listener.getsockname())
    connection = None
    try:
        owner = os.pidfd_open(int(arguments[1]))
        circumstances = link.circumstances()  # before anything is imported
        _preload(arguments[2:])
        about = {"circumstances": circumstances, **_preloaded()}
        _keep_exits()
        gc.collect()
        gc.freeze()  # keeps the collector of a child from touching, and so copying, what it shares with the server
        if len(list(Path("/proc/self/task").iterdir())) == 1:  # a fork would lose the other threads
            connection = _serve(listener, owner)
    finally:
        if os.getpid() == server:
            with contextlib.suppress(OSError):
                address.unlink()
                address.parent.rmdir()
    if connection is not None:
        _run_step(connection, server, about)


def _preload(modules: Sequence[str]) -> None:
    """Import modules; one that is missing or broken will say so in the step that needs it."""
    for name in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _preloaded() -> dict[str, Any]:
    """Return which modules are there now and from where: once, since a child would copy every module it touches."""
    ours = {"__main__", "robustrepro"}
    tops = {name: module for name, module in sys.modules.items() if "." not in name and name not in ours}
    folders = {_folder_of(module) for module in tops.values()} & set(sys.path)
    return {"path": sys.path, "modules": list(tops), "folders": list(folders)}


def _keep_exits() -> None:
    """Keep to the server what the libraries want done at their exit: it would be most of what a short step costs."""
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False
    dynamo: Any = sys.modules.get("torch._dynamo.utils")
    if dynamo is not None:
        atexit.unregister(dynamo.dump_compile_times)


def _serve(listener: socket.socket, owner: int) -> socket.socket | None:
    """Fork a child for each client.

    Parameters
    ----------
    listener
        Listening socket.
    owner
        Descriptor (pidfd) of the process whose end is the server's.

    Returns
    -------
    In a child, at once: the connection to its client. In the server, at its end: None.
    """
    wake_reader, wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_writer)
    for number in _STOPPING:
        signal.signal(number, lambda *_: None)  # its arrival is read from the pipe
    listener.setblocking(False)
    poll = select.poll()
    for descriptor in (listener.fileno(), owner, wake_reader):
        poll.register(descriptor, select.POLLIN)
    steps: dict[int, _Step] = {}  # by handle and by connection
    stopping = False
    while steps or not stopping:
        kill_at = min((step.kill_at for step in steps.values()), default=math.inf)
        events = poll.poll(None if kill_at == math.inf else max(0.0, kill_at - time.monotonic()) * 1000)
        for descriptor, _ in events:
            if descriptor in (owner, wake_reader):
                stopping = True
                for source in (owner, wake_reader, listener.fileno()):
                    poll.unregister(source)
                listener.close()  # a client that comes from now on runs in its own process
                for step in steps.values():
                    step.end()
                break
            if descriptor == listener.fileno():
                with contextlib.suppress(OSError):  # the client went away, or there is no memory for a fork
                    connection, _ = listener.accept()
                    if link.peer_user(connection) != os.getuid():
                        connection.close()
                        continue
                    process = _fork(connection)
                    if process == 0:
                        signal.set_wakeup_fd(-1)
                        for other in set(steps.values()):
                            other.close()
                        for inherited in (owner, wake_reader, wake_writer):
                            os.close(inherited)
                        listener.close()
                        return connection
                    step = _Step(process, connection)
                    steps[step.handle] = steps[connection.fileno()] = step
                    poll.register(step.handle, select.POLLIN)
                    poll.register(connection, 0)  # only its hang-up: what the client says is for the child
            elif descriptor not in steps:
                continue  # ended by an event just before this one
            elif descriptor == (step := steps[descriptor]).handle:
                for key in (step.handle, step.connection.fileno()):
                    with contextlib.suppress(KeyError):  # a connection that hung up is watched no more
                        poll.unregister(key)
                    del steps[key]
                step.report()
            else:
                poll.unregister(descriptor)
                step.end()
        for step in set(steps.values()):
            if step.kill_at <= time.monotonic():
                step.kill()
    return None


def _fork(connection: socket.socket) -> int:
    """Fork; where that fails, close the connection, so that the client runs in its own process."""
    try:
        return os.fork()
    except OSError:
        connection.close()
        raise


def _run_step(connection: socket.socket, server: int, about: Mapping[str, Any]) -> None:
    """Become the process that the client would have been, and run its command.

    Returns at once if the client prefers its own process.

    Parameters
    ----------
    connection
        To the client.
    server
        Process id of the server, without which the step is not to run.
    about
        What the server says of itself, for the client to decide whether it suits.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != server:
        return
    os.setsid()
    for stopping in _STOPPING:
        signal.signal(stopping, signal.default_int_handler if stopping == signal.SIGINT else signal.SIG_DFL)
    for name in [name for name in sys.modules if name.partition(".")[0] == "robustrepro"]:
        del sys.modules[name]
    try:
        link.send(connection, {"process": os.getpid(), **about})
        request, descriptors = link.receive(connection)
    except (OSError, EOFError):
        return  # the client runs in its own process
    connection.close()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.argv[:] = request["arguments"]
    sys.orig_argv[:] = request["original_arguments"]
    sys.path[:] = request["path"]
    sys.stdin, sys.stdout, sys.stderr = map(_open_stream, range(3), request["streams"])
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    _set_threads(os.environ)
    importlib.invalidate_caches()
    linecache.clearcache()
    status = 0
    try:
        if request["module"]:
            runpy.run_module("robustrepro", run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise  # a message, which the interpreter prints
        status = end.code or 0
    except Exception:
        sys.excepthook(*sys.exc_info())  # as the interpreter does
        status = 1
    _end(status, libc)


def _end(status: int, libc: ctypes.CDLL) -> NoReturn:
    """End the step without tearing down the interpreter and the libraries that the server loaded.

    That takes longer than a start, and some libraries then complain about objects that a fork left them. What a step
    can tell apart is done: its threads end, its exit handlers run, and what Python and C code have printed is written.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for written in gc.get_objects():  # the step's own: the server's are frozen
        if isinstance(written, io.IOBase) and not written.closed and written.writable():
            written.flush()
    libc.fflush(None)
    os._exit(status & 0xFF)


def _folder_of(module: object) -> str | None:
    """Return the entry of ``sys.path`` that a top-level module came from; None for a built-in one."""
    paths = list(getattr(module, "__path__", ())) or [getattr(module, "__file__", None)]
    return str(Path(paths[0]).parent) if isinstance(paths[0], str) else None


def _open_stream(descriptor: int, form: tuple[str, str, bool, bool]) -> io.TextIOWrapper:
    """Open a standard stream as the client's interpreter had it."""
    encoding, errors, line_buffering, write_through = form
    if descriptor == 0:
        return open(0, encoding=encoding, errors=errors, closefd=False)
    binary = open(descriptor, "wb", 0 if write_through else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(binary, encoding, errors, "\n", line_buffering, write_through)


def _set_threads(environment: Mapping[str, str]) -> None:
    """Give the libraries the numbers of threads that they read from the environment when imported."""
    threads = environment.get("OMP_NUM_THREADS", "").partition(",")[0]
    modules: Mapping[str, Any] = sys.modules
    if threads.isdigit() and "torch" in modules:
        modules["torch"].set_num_threads(int(threads))
    blas_threads = environment.get("OPENBLAS_NUM_THREADS") or threads or str(len(os.sched_getaffinity(0)))
    if blas_threads.isdigit() and int(blas_threads) > 1 and "numpy" in modules:
        with contextlib.suppress(ImportError):  # without it, one thread remains: slower, not wrong
            import threadpoolctl  # type: ignore[import-untyped]

            threadpoolctl.threadpool_limits(int(blas_threads), user_api="blas")
