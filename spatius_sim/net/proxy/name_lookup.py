"""Looks up the IP addresses of hosts, in threads that do not delay the end of the program."""

import asyncio
import contextlib
import socket
import threading
from ipaddress import ip_address


class NameLookup:
    """Looks up IP addresses in daemon threads.

    asyncio's own look-up uses threads for which the event loop waits when it ends. That can take long, if a
    name server does not answer."""

    def __init__(self) -> None:
        """Begin without a look-up."""
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Look up the name of a host, and return its IP addresses. If several callers ask for one host at the
        same time, they share one look-up.

        Raises OSError if the look-up fails."""
        with contextlib.suppress(ValueError):
            return [str(ip_address(host))]  # It is an address: a thread for each connection would be dear.
        lookup = self._running.get(host)
        if lookup is None:
            lookup = self._running[host] = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._look_up, args=(host, lookup), daemon=True).start()
        return await asyncio.shield(lookup)

    def _look_up(self, host: str, lookup: asyncio.Future[list[str]]) -> None:
        """Look up the name of one host, in a thread of its own, and hand its addresses or the error to the
        event loop."""
        addresses: list[str] = []
        lookup_error: OSError | None = None
        try:
            address_infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(info[4][0]) for info in address_infos))
        except OSError as error:
            lookup_error = error
        except UnicodeError as error:
            lookup_error = OSError(f"{host!r} is not a name of a host: {error}")
        with contextlib.suppress(RuntimeError):  # The event loop has ended.
            lookup.get_loop().call_soon_threadsafe(
                self._hand_out_addresses, host, lookup, addresses, lookup_error
            )

    def _hand_out_addresses(
        self, host: str, lookup: asyncio.Future[list[str]], addresses: list[str], lookup_error: OSError | None
    ) -> None:
        """Give the addresses that the look-up of a host's name has found, or its error, to all who wait for
        this host."""
        del self._running[host]
        if lookup_error is None:
            lookup.set_result(addresses)
        else:
            lookup.set_exception(lookup_error)
            lookup.exception()  # All callers may have given up: then nobody else would read the fault.
