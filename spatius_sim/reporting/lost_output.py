"""What to do when the output cannot be written any more."""

import errno
import os
from typing import TextIO

OUTPUT_LOST = (errno.ENOSPC, errno.EPIPE, errno.EDQUOT, errno.EIO)
"""Why nothing more can be printed: a full disk, or a reader that has left."""


def discard_output(output: TextIO) -> None:
    """Redirect this output to the null device, after it could not be written. Otherwise Python would report a
    second error when it ends the program."""
    null_device = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_device, output.fileno())
    os.close(null_device)
