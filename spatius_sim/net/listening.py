"""The ports of this machine: finds a free one, and explains why one cannot be had."""

import errno
import socket

from spatius_sim.protocol.errors import UsageError

LOOPBACK = "127.0.0.1"


def port_fault(error: OSError, port: int) -> UsageError:
    """Make an error of a failed bind that says what to do."""
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"port {port} is in use: end what listens there, or choose another port")
    return UsageError(f"cannot listen on port {port}: {error.strerror or error}")


def free_port() -> int:
    """Find a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
