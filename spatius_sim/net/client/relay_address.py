"""The address of a relay under test, with the credentials of a client."""

import ssl
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Where clients of a relay connect, and what they send and trust.

    They send `headers`, such as the relay's own login, and offer `subprotocols`. `tls` holds the certificates
    that they trust."""

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    token_reference: str = ""
    """The trace's name for the Spatius session token among the headers; "" if there is none."""
    narrow: bool = False
    """Whether the connection buffers little data: then a relay soon notices that its client does not read."""

    @property
    def url_without_secrets(self) -> str:
        """The URL of the relay with its secrets removed, for messages."""
        return url_without_secrets(self.url)


def add_credentials(address: RelayAddress, app_id: str, token: str) -> RelayAddress:
    """Return a copy of the relay's address for a client that connects as if the relay were a Motion Server,
    with Spatius credentials: app id and session token. They are added to the headers and to the query of the
    URL, the two places where a Motion Server looks for them. `token_reference` of the copy is the name of the
    token in the trace."""
    headers = (*address.headers, ("X-App-ID", app_id), ("X-Session-Key", token))
    separator = "&" if "?" in address.url else "?"
    url = f"{address.url}{separator}{urlencode({'appId': app_id, 'sessionKey': token})}"
    return replace(address, url=url, headers=headers, token_reference="the client's own token")
