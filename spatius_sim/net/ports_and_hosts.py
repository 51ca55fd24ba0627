"""Finds a free port of this machine, and explains why a port cannot be used."""

import errno
import ipaddress
import socket

from spatius_sim.protocol.errors import UsageError

LOOPBACK = "127.0.0.1"
_EVERY_ADDRESS = ("", "0.0.0.0", "::")


def is_this_machine(address: str) -> bool:
    """Return whether a port that is open at this IP address, or at the name localhost, can be reached from
    this machine alone. False for every other name."""
    try:
        return address == "localhost" or ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def name_in_urls(host: str) -> str:
    """Return the host name to write before a port in URLs for clients on this machine, if the port was opened
    at the address `host`. An IPv6 address gets brackets."""
    if host in _EVERY_ADDRESS:
        return LOOPBACK
    return f"[{host}]" if ":" in host else host


def describe_exposure(host: str, port: int) -> list[str]:
    """Return what the user must know of a server whose port other machines can reach at `host`, as lines; no
    lines if only this machine can reach the port."""
    if is_this_machine(host):
        return []
    return [
        f"WARNING: whoever reaches {host}, port {port}, can use this server, and it proves itself to nobody. "
        "Let it listen in networks that you trust only.",
        "From a container or a phone, put in place of 127.0.0.1 the address of this machine "
        "(Docker Desktop: host.docker.internal).",
    ]


def explain_port_error(error: OSError, port: int, host: str = LOOPBACK) -> UsageError:
    """Return a UsageError that says why a server cannot listen on this port, and what the user can do, such
    as choose a free port. `error` is the error of the operating system."""
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return UsageError(f"{host} is not an address of this machine: 0.0.0.0 are all that it has")
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"port {port} is in use: end what listens there, or choose another port")
    return UsageError(f"cannot listen on port {port}: {error.strerror or error}")


def free_port() -> int:
    """Return a free port of 127.0.0.1: nothing listens there now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
