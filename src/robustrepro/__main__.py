"""The ``robustrepro`` command: in a warm process where one answers, else in its own."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that ``sys.argv`` names and end with its exit status.

    Nothing but the standard library is imported before it is known where the command runs.
    """
    if sys.argv[1:2] == ["warm-server"]:
        from robustrepro.warm import server

        server.main(sys.argv[2:])
        return
    from robustrepro.warm import client, link

    code = client.hand_over()
    if code is not None:
        link.end_as(code)
    from robustrepro.command_line import main as run_command

    run_command()


if __name__ == "__main__":
    main()
