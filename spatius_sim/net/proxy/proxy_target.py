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
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets

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
        """The value of the Host header in requests to this target of the proxy. The port is left out if it is
        the default one, and an IPv6 address stands in brackets."""
        is_default_port = self.port == (443 if self.tls else 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if is_default_port else f"{host}:{self.port}"


def read_proxy_targets(upstream_urls: tuple[str, ...]) -> tuple[ProxyTarget, ...]:
    """Return the three targets to which the recording proxy passes requests on. They are the Console API, its
    second path (for authentication), and the ingress (the WebSocket server).

    `upstream_urls` holds one base URL, or two URLs: that of the Console API and that of the ingress. Raises
    UsageError if only one of these two is given, or if a text is no URL of a server."""
    console_url = ingress_url = ""
    for url in upstream_urls:
        path = urlsplit(url).path.rstrip("/")
        if path.endswith(CONSOLE_ROOT):
            console_url = url
        elif path.endswith(INGRESS_ROOT):
            ingress_url = url
        else:
            console_url = console_url or url.rstrip("/") + CONSOLE_ROOT
            ingress_url = ingress_url or url.rstrip("/") + INGRESS_ROOT
    if not console_url or not ingress_url:
        raise UsageError(
            "--upstream: a base URL is needed, or two: one that ends in "
            f"{CONSOLE_ROOT} and one that ends in {INGRESS_ROOT}"
        )
    console_target = _parse_target(CONSOLE_ROOT, console_url)
    auth_path = console_target.path.removesuffix(CONSOLE_ROOT) + AUTH_ROOT
    auth_target = replace(console_target, root=AUTH_ROOT, path=auth_path)
    return console_target, auth_target, _parse_target(INGRESS_ROOT, ingress_url)


def _parse_target(path_root: str, url: str) -> ProxyTarget:
    """Return the proxy's target for requests whose path begins with `path_root`: the server at this URL.
    Raises UsageError if the text is not a URL of a server."""
    try:
        url_parts = urlsplit(url)
        port = url_parts.port
    except ValueError as error:
        raise UsageError(f"--upstream {url_without_secrets(url)!r} is not a URL") from error
    if url_parts.scheme not in ("http", "https", "ws", "wss") or not url_parts.hostname:
        raise UsageError(f"--upstream {url_without_secrets(url)!r}: an http(s):// or ws(s):// URL is needed")
    uses_tls = url_parts.scheme in ("https", "wss")
    port = port or (443 if uses_tls else 80)
    return ProxyTarget(path_root, url_parts.hostname, port, url_parts.path.rstrip("/"), uses_tls)


def describe_unreachable(target: ProxyTarget, error: Exception) -> str:
    """Return in words that the proxy cannot connect to a target, and why."""
    return f"{target.host_header} cannot be reached: {str(error) or 'it does not answer'}"


async def connect_to_target(target: ProxyTarget, name_lookup: NameLookup) -> ConnectionEnd:
    """Connect the proxy to this target, the server to which it passes requests on. The addresses of the
    target's host are tried in order until one answers. Return the proxy's end of the connection. Raises
    OSError if no address answers."""
    tls_context = ssl.create_default_context() if target.tls else None
    tls_server_name = target.host if target.tls else None
    loop = asyncio.get_running_loop()
    last_error = OSError("the name has no address")
    for address in await name_lookup.look_up_addresses(target.host):
        try:
            _, connection = await loop.create_connection(
                ConnectionEnd, address, target.port, ssl=tls_context, server_hostname=tls_server_name
            )
            return connection
        except OSError as error:
            last_error = error
    raise last_error
