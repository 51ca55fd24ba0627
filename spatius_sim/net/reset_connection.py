"""Resets a TCP connection, so that its peer sees an error and no close."""

import asyncio
import socket
import struct


def reset_connection(transport: asyncio.Transport | None) -> None:
    """Reset a TCP connection, so that the peer sees an error instead of a normal close. Do
    nothing if the connection is already gone (`transport` is None)."""
    if transport is None:
        return
    tcp_socket = transport.get_extra_info("socket")
    if tcp_socket is not None and not transport.is_closing():
        linger_on, linger_seconds = 1, 0
        tcp_socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", linger_on, linger_seconds)
        )
    transport.abort()
