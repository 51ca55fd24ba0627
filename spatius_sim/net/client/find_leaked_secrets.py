"""Searches the HTTP answers of a relay for secrets that must not reach a client."""

from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.trace.events import Lane, Received
from spatius_sim.wires.events import NotUnderstood

_ANSWER_SECONDS = 2.0
_MAX_BYTES = 1_048_576
_GET = "GET"


async def search_answer(address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str) -> bool:
    """Send an HTTP request to the relay, search the answer for secrets, and return whether an answer came to
    which it is worth to ask again. At most 1 MiB of the body is searched, and all headers.

    `path` may have a method before it, as in `POST /api/token`; without a method the request is a GET. All
    other methods send an empty JSON object. An answer that says that the method is wrong (405) is recorded as
    a message that was not understood."""
    method, _, path = path.rpartition(" ")
    method = method or _GET
    scheme, netloc, *_ = urlsplit(address.url)
    url = urlunsplit((scheme.replace("ws", "http", 1), netloc, path, "", ""))
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=dict(address.headers)) as http,
            http.request(
                method,
                url,
                json=None if method == _GET else {},
                ssl=address.tls or True,
                allow_redirects=False,
            ) as answer,
        ):
            body = await answer.content.read(_MAX_BYTES)
            headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return False
    recorder.record_leaked_secrets(Lane.DOWNSTREAM, client, body, f"in the answer to {method} {path}")
    recorder.record_leaked_secrets(
        Lane.DOWNSTREAM, client, headers, f"in a header of the answer to {method} {path}"
    )
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        reason = f"{method} {path} was answered by 405: under `http:` the wire is to name the method, too"
        recorder.emit(Lane.DOWNSTREAM, client, Received("", NotUnderstood(reason)))
        return False
    return True
