"""The upstream that a recording proxy passes a request on to, and how the proxy connects to it."""

import asyncio
import ssl
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from spatius_sim.net.proxy.connection_end import ConnectionEnd
from spatius_sim.net.proxy.name_lookup import NameLookup
from spatius_sim.protocol.console_api import (
    AUTH_ROOT,
    CONSOLE_ROOT,
    INGRESS_ROOT,
)
from spatius_sim.protocol.errors import UsageError
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_logins

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ProxyTarget:
    """Where requests go if their path begins with `root`: a server, and the `path` that replaces `root`."""

    root: str
    host: str
    port: int
    path: str
    tls: bool

    @property
    def host_header(self) -> str:
        """Return the value of the Host header for requests that the proxy passes on to this target."""
        is_default_port = self.port == (443 if self.tls else 80)
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if is_default_port else f"{name}:{self.port}"


def proxy_targets(upstream: tuple[str, ...]) -> tuple[ProxyTarget, ...]:
    """Return the targets to which the recording proxy passes requests on: the Console API, the second path of
    the Console API (for authentication), and the ingress.

    `upstream` holds one base URL, or both endpoint URLs. Raises UsageError if a target is missing in it."""
    console = ingress = ""
    for url in upstream:
        path = urlsplit(url).path.rstrip("/")
        if path.endswith(CONSOLE_ROOT):
            console = url
        elif path.endswith(INGRESS_ROOT):
            ingress = url
        else:
            console = console or url.rstrip("/") + CONSOLE_ROOT
            ingress = ingress or url.rstrip("/") + INGRESS_ROOT
    if not console or not ingress:
        raise UsageError(
            "--upstream: a base URL is needed, or two: one that ends in "
            f"{CONSOLE_ROOT} and one that ends in {INGRESS_ROOT}"
        )
    door = _read_target(CONSOLE_ROOT, console)
    second_door = replace(door, root=AUTH_ROOT, path=door.path.removesuffix(CONSOLE_ROOT) + AUTH_ROOT)
    return door, second_door, _read_target(INGRESS_ROOT, ingress)


def _read_target(root: str, url: str) -> ProxyTarget:
    """Return the target to which the recording proxy passes requests that begin with `root`: the server at
    this URL. Raises UsageError if the text is not a URL of a server."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--upstream {url_without_logins(url)!r} is not a URL") from error
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise UsageError(f"--upstream {url_without_logins(url)!r}: an http(s):// or ws(s):// URL is needed")
    tls = parts.scheme in ("https", "wss")
    return ProxyTarget(root, parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls)


def describe_unreachable(target: ProxyTarget, error: Exception) -> str:
    """Return in words that the proxy cannot connect to a target, and why."""
    return f"{target.host_header} cannot be reached: {str(error) or 'it does not answer'}"


async def connect_to_target(target: ProxyTarget, lookup: NameLookup) -> ConnectionEnd:
    """Connect the proxy to its target (Motion Server): to the first of the target's addresses that answers.
    Return the proxy's end of the connection. Raises OSError if no address answers."""
    context = ssl.create_default_context() if target.tls else None
    name = target.host if target.tls else None
    loop = asyncio.get_running_loop()
    fault = OSError("the name has no address")
    for address in await lookup.addresses(target.host):
        try:
            _, upstream = await loop.create_connection(
                ConnectionEnd, address, target.port, ssl=context, server_hostname=name
            )
            return upstream
        except OSError as error:
            fault = error
    raise fault
