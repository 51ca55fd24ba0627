"""Finds a free port of this machine, and explains why a port cannot be used."""

import errno
import ipaddress
import socket

from spatius_sim.protocol.errors import UsageError

LOOPBACK = "127.0.0.1"
_EVERY_ADDRESS = ("", "0.0.0.0", "::")


def is_loopback_address(address: str) -> bool:
    """Return whether this is an IP address that only this machine itself can reach, such as 127.0.0.1 or ::1,
    or the name `localhost`. Return False for any other name."""
    without_zone, _, _ = address.partition("%")
    try:
        return address == "localhost" or ipaddress.ip_address(without_zone).is_loopback
    except ValueError:
        return False


def host_for_urls(host: str) -> str:
    """Return the host to write in URLs at which clients on this machine reach a server. The server listens at
    the address `host`. If that means all addresses, the result is 127.0.0.1; an IPv6 address gets
    brackets."""
    if host in _EVERY_ADDRESS:
        return LOOPBACK
    return f"[{host}]" if ":" in host else host


def describe_exposure(host: str, port: int) -> list[str]:
    """Return the lines of a warning to the user if other machines can reach the port of a server that listens
    at `host`. Return an empty list if only this machine can reach it."""
    if is_loopback_address(host):
        return []
    return [
        f"WARNING: whoever reaches {host}, port {port}, can use this server, and it proves itself to nobody. "
        "Let it listen in networks that you trust only.",
        "From a container or a phone, put in place of 127.0.0.1 the address of this machine "
        "(Docker Desktop: host.docker.internal).",
    ]


def explain_port_error(error: OSError, port: int, host: str = LOOPBACK) -> UsageError:
    """Return a UsageError that says why a server cannot listen at this host and port, and what the user can
    do about it. `error` is the error of the operating system. The caller raises the UsageError."""
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
