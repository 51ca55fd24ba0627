"""Finds a free port of this machine, and explains why a port cannot be used."""

import errno
import socket

from spatius_sim.protocol.errors import UsageError

LOOPBACK = "127.0.0.1"


def port_fault(error: OSError, port: int) -> UsageError:
    """Return an error for people from the error of listening on a port; it says what to do."""
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"port {port} is in use: end what listens there, or choose another port")
    return UsageError(f"cannot listen on port {port}: {error.strerror or error}")


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
