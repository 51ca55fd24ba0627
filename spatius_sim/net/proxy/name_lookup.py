"""Looks up the addresses of hosts in threads that nobody waits for when the program ends."""

import asyncio
import contextlib
import socket
import threading


class NameLookup:
    """Looks up addresses in daemon threads. asyncio's own look-up runs in threads that the event loop waits
    for before it ends, and a name server that does not answer holds such threads for long."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the IP addresses of `host`; callers at the same time share one look-up. Raises OSError."""
        found = self._running.get(host)
        if found is None:
            found = self._running[host] = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._look_up, args=(host, found), daemon=True).start()
        return await asyncio.shield(found)

    def _look_up(self, host: str, found: asyncio.Future[list[str]]) -> None:
        """Look one host up, in a thread, and hand the result to the event loop."""
        addresses: list[str] = []
        fault: OSError | None = None
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except OSError as error:
            fault = error
        except UnicodeError as error:
            fault = OSError(f"{host!r} is no name of a host: {error}")
        with contextlib.suppress(RuntimeError):  # The event loop has ended.
            found.get_loop().call_soon_threadsafe(self._deliver, host, found, addresses, fault)

    def _deliver(
        self, host: str, found: asyncio.Future[list[str]], addresses: list[str], fault: OSError | None
    ) -> None:
        """Give the addresses, or the fault, to all who wait for this host."""
        del self._running[host]
        if fault is None:
            found.set_result(addresses)
        else:
            found.set_exception(fault)
            found.exception()  # All callers may have given up: then nobody else would read the fault.
