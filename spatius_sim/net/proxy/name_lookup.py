"""Looks up the IP addresses of hosts, in threads that do not delay the end of the program."""

import asyncio
import contextlib
import socket
import threading


class NameLookup:
    """Looks up IP addresses in daemon threads.

    asyncio's own look-up uses threads for which the event loop waits when it ends. That can take long, if a
    name server does not answer."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the IP addresses of `host`; callers at the same time share one look-up.

        Raises OSError if the look-up fails."""
        result = self._running.get(host)
        if result is None:
            result = self._running[host] = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._look_up, args=(host, result), daemon=True).start()
        return await asyncio.shield(result)

    def _look_up(self, host: str, result: asyncio.Future[list[str]]) -> None:
        """Look up one host, in a thread, and hand the result to the event loop."""
        addresses: list[str] = []
        fault: OSError | None = None
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except OSError as error:
            fault = error
        except UnicodeError as error:
            fault = OSError(f"{host!r} is not a name of a host: {error}")
        with contextlib.suppress(RuntimeError):  # The event loop has ended.
            result.get_loop().call_soon_threadsafe(self._deliver, host, result, addresses, fault)

    def _deliver(
        self, host: str, result: asyncio.Future[list[str]], addresses: list[str], fault: OSError | None
    ) -> None:
        """Give the addresses, or the error, to all callers that wait for this host."""
        del self._running[host]
        if fault is None:
            result.set_result(addresses)
        else:
            result.set_exception(fault)
            result.exception()  # All callers may have given up: then nobody else would read the fault.
