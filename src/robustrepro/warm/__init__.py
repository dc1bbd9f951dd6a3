"""Warm start: a step runs in a fork of a process that has imported the third-party libraries already.

Importing torch and its like takes seconds, a fork a fraction of one. While a workflow runs, `start` keeps a resident
server (`robustrepro.warm.server`). Each ``python -m robustrepro ...`` finds its socket through the environment variable
``ROBUSTREPRO_WARM`` and hands itself over, whatever its command (`robustrepro.warm.client`): arguments, folder,
environment and standard streams go to a fork of the server, signals follow, the exit code comes back. Whenever that
would not give what the step's own process gives (no socket, another interpreter, changed packages, a cluster job, ...),
the step runs in its own process. The library's own code is never kept: each fork imports it anew.

The conversation: the fork says its process id, the client sends its request, and the server answers with the exit code
of the fork; a fork that cannot stand for the client refuses instead. A client that hears neither knows that the server
was killed.

``multiprocessing.forkserver`` forks only for the process that started it, and its import would take a client 25 ms of
processor time, where that of ``socket`` takes 4. Only the standard library is imported here, and little of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from robustrepro.warm.link import GRACE_SECONDS, OFF, VARIABLE

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    import subprocess

PRELOADED = (
    *("torch", "torch._dynamo", "safetensors.torch"),  # the first optimiser of a process imports dynamo: seconds
    *("numpy", "scipy.special", "pandas", "pyarrow.parquet", "matplotlib.backends.backend_agg", "seaborn"),
    *("filelock", "typer.rich_utils", "rich.progress", "rich.table", "yaml"),
    # The package alone imports next to nothing; the first model also looks for plugins among all installed packages.
    *("pydantic.root_model", "pydantic.functional_validators", "pydantic.type_adapter"),
)
"""What the server imports; a module that is missing is left out."""

LONGEST_FOLDER = 70
"""How many bytes the name of a temporary folder may have, so that the address of a socket below it is not too long."""


@contextlib.contextmanager
def start(preload: Sequence[str] = PRELOADED) -> Iterator[subprocess.Popen[bytes] | None]:
    """Keep a server for the steps of this process, and name it in the environment.

    Does not wait until the server is ready: steps that come early do. At the end of the context, or when this process
    has ended, however that was, the server shuts down with whatever still runs in it.

    Parameters
    ----------
    preload
        Modules that the server imports.

    Yields
    ------
    The server; None if warm start is switched off (``ROBUSTREPRO_WARM=off``), if a server is there already, if the
    platform lacks what it takes (Linux 5.3 or newer), or if the system refuses, which is said in one line.
    """
    import shutil
    import subprocess
    from pathlib import Path

    present = os.environ.get(VARIABLE)
    unwanted = present == OFF or (present and Path(present).exists())
    if unwanted or sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        yield None
        return
    try:
        folder, server = _begin(preload)
    except OSError as error:  # no folder for the socket, no sockets, no memory for a process
        sys.stderr.write(f"No warm start ({error}): each step imports its libraries itself, which takes longer.\n")
        yield None
        return
    os.environ[VARIABLE] = f"{folder}/socket"
    try:
        yield server
    finally:
        if os.environ.get(VARIABLE) == f"{folder}/socket":
            del os.environ[VARIABLE]
        try:
            server.communicate(timeout=GRACE_SECONDS + 2)  # closes the input; the steps have their grace first
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _begin(preload: Sequence[str]) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a server; return the folder of its socket, and its process.

    Raises
    ------
    OSError
        If the system does not let it.
    """
    import shutil
    import socket
    import subprocess
    import tempfile

    # The address of a Unix socket holds 107 bytes, which the temporary folder of a cluster job may exceed.
    parent = None if len(os.fsencode(tempfile.gettempdir())) < LONGEST_FOLDER else "/tmp"
    folder = tempfile.mkdtemp(prefix="robustrepro-", dir=parent)
    environment = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "OMP_NUM_THREADS")}
    # Threads must not be alive when a process forks, and these two libraries start some when they are imported.
    environment |= {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/socket")
            listener.listen(4096)
            server = subprocess.Popen(
                [sys.executable, "-m", "robustrepro", "warm-server", str(listener.fileno()), *preload],
                env=environment,
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,  # closed when this process ends, upon which the server shuts down
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal is for the steps
            )
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, server
