"""Opens files that people name, to read them as bytes. Somebody may name a pipe that nobody writes to."""

import os
import select
import stat
from io import BufferedReader
from pathlib import Path

from spatius_sim.protocol.errors import UsageError

_PIPE_SECONDS = 5.0
"""How long a pipe may take until its first byte comes, or its end."""


def open_named_file(path: Path) -> BufferedReader:
    """Open a file to read it as bytes, and return it; the caller closes it. It may be a pipe, such as
    `<(command)` of a shell.

    Raises UsageError if the file is a pipe from which nothing comes for 5 s, and OSError if it cannot be
    opened."""
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - the caller closes the file.
    try:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            poll = select.poll()
            poll.register(file, select.POLLIN)
            if not poll.poll(_PIPE_SECONDS * 1000):
                raise UsageError(f"{path}: a pipe from which nothing comes")
        os.set_blocking(file.fileno(), True)
    except BaseException:
        file.close()
        raise
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file for `open`, and return its descriptor. If it is a pipe, do not wait until somebody opens it
    to write."""
    return os.open(path, flags | os.O_NONBLOCK)
