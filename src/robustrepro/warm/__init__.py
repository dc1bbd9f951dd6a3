"""Warm start: a step runs in a child of a process that has the third-party libraries imported already.

Importing torch and its like takes seconds, a fork a fraction of one. While a workflow runs, `start` keeps a
resident process (`robustrepro.warm.server`). Each ``python -m robustrepro STEP`` finds its socket through the
environment variable ``ROBUSTREPRO_WARM`` and hands itself over (`robustrepro.warm.client`): arguments, folder,
environment and standard streams go there, signals follow, the exit status comes back. Whenever that would not give
what the step's own process gives (no socket, another interpreter, changed packages, a cluster job, ...), the step
runs in its own process. The library's own code is never kept: each child imports it anew.

On the socket the server's child says who it is, the client answers with the request, and the server ends the
conversation with the wait status of the child. A client that hears no status knows that the server was killed.

Only the standard library is imported by this package, and no more of it than a step's client needs.
"""

from __future__ import annotations

import os
import sys

from robustrepro.warm.link import GRACE_SECONDS, OFF, VARIABLE

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

PRELOADED = (
    "torch",
    "torch._dynamo",  # imported by the first optimiser of a process, and slower than torch itself
    "numpy",
    "scipy.special",
    "pyarrow.parquet",
    "safetensors.torch",
    # Its package alone imports next to nothing; the first model also looks for plugins among all installed packages.
    "pydantic.root_model",
    "pydantic.functional_validators",
    "pydantic.type_adapter",
    "typer.rich_utils",
    "rich.progress",
    "rich.table",
    "yaml",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)
"""What the server imports; a module that is missing is left out."""


class WarmServer:
    """A running server, for as long as its owner wants it.

    Parameters
    ----------
    process
        The server.
    address
        Path of its socket, which lies in a private folder of its own.
    """

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.process = process
        self.address = address

    def __enter__(self) -> WarmServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server with whatever still runs in it, and remove its socket."""
        import shutil
        import subprocess
        from pathlib import Path

        if os.environ.get(VARIABLE) == self.address:
            del os.environ[VARIABLE]
        self.process.terminate()
        try:
            self.process.wait(GRACE_SECONDS + 2)  # the steps have their grace first
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(Path(self.address).parent, ignore_errors=True)


def start(preload: Sequence[str] = PRELOADED) -> WarmServer | None:
    """Start a server for the steps of this process, and name it in the environment.

    Does not wait until the server is ready: steps that come early do. The server ends by `WarmServer.stop`, or on
    its own when this process has ended, however that was.

    Parameters
    ----------
    preload
        Modules that the server imports.

    Returns
    -------
    The server, also usable as a context; None if warm start is switched off (``ROBUSTREPRO_WARM=off``), if a server
    is there already, or if the platform does not have what it takes (Linux 5.3 or newer).
    """
    import socket
    import subprocess
    import tempfile
    from pathlib import Path

    present = os.environ.get(VARIABLE)
    if present == OFF or (present and Path(present).exists()):
        return None
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    # The address of a Unix socket holds 107 bytes, which the temporary folder of a cluster job may exceed.
    parent = None if len(os.fsencode(tempfile.gettempdir())) < 70 else "/tmp"
    address = str(Path(tempfile.mkdtemp(prefix="robustrepro-", dir=parent)) / "socket")
    environment = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "OMP_NUM_THREADS")}
    # Threads must not be alive when a process forks, and these two libraries start some when they are imported.
    environment |= {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(4096)
        command = [sys.executable, "-m", "robustrepro", "warm-server", str(listener.fileno()), str(os.getpid())]
        process = subprocess.Popen(
            [*command, *preload],
            env=environment,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is for the steps
        )
    os.environ[VARIABLE] = address
    return WarmServer(process, address)
