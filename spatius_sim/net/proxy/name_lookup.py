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
        self._lookup_by_host: dict[str, asyncio.Future[list[str]]] = {}

    async def look_up_addresses(self, host: str) -> list[str]:
        """Return the IP addresses of a host. If `host` is an IP address, return it alone; otherwise look up
        its name. Callers that ask for the same host at the same time share one look-up.

        Raises OSError if the look-up fails."""
        with contextlib.suppress(ValueError):
            return [str(ip_address(host))]  # An address needs no look-up, and so no thread.
        lookup_result = self._lookup_by_host.get(host)
        if lookup_result is None:
            lookup_result = self._lookup_by_host[host] = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._look_up_in_thread, args=(host, lookup_result), daemon=True).start()
        return await asyncio.shield(lookup_result)

    def _look_up_in_thread(self, host: str, lookup_result: asyncio.Future[list[str]]) -> None:
        """Look up the IP addresses of a host, and pass them, or the error, to `lookup_result` in the event
        loop. This blocks, so it runs in a thread of its own."""
        addresses: list[str] = []
        lookup_error: OSError | None = None
        try:
            address_infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            repeated_addresses = (str(socket_address[0]) for *_, socket_address in address_infos)
            addresses = list(dict.fromkeys(repeated_addresses))
        except OSError as error:
            lookup_error = error
        except UnicodeError as error:
            lookup_error = OSError(f"{host!r} is not a name of a host: {error}")
        with contextlib.suppress(RuntimeError):  # The event loop has ended.
            lookup_result.get_loop().call_soon_threadsafe(
                self._deliver_result, host, lookup_result, addresses, lookup_error
            )

    def _deliver_result(
        self,
        host: str,
        lookup_result: asyncio.Future[list[str]],
        addresses: list[str],
        lookup_error: OSError | None,
    ) -> None:
        """Give the result of a host's look-up to all callers that wait for it: `lookup_error` if that is set,
        otherwise the addresses."""
        del self._lookup_by_host[host]
        if lookup_error is None:
            lookup_result.set_result(addresses)
        else:
            lookup_result.set_exception(lookup_error)
            lookup_result.exception()  # If all callers have given up, nobody else reads the error.
