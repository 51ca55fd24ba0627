"""How a relay under test is reached, and started where the kit starts it."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spatius_sim.net.client.relay import RelayAddress
from spatius_sim.protocol.errors import UsageError

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header or subprotocol (RFC 9110, 5.6.2)."""

START_SECONDS = 60.0
"""How long a relay that the kit starts may take to answer."""

PORT = "port"

PLACEHOLDERS = {
    "console": "SPATIUS_CONSOLE_ENDPOINT",
    "ingress": "SPATIUS_INGRESS_ENDPOINT",
    "api_key": "SPATIUS_API_KEY",
    "app_id": "SPATIUS_APP_ID",
    "avatar_id": "SPATIUS_AVATAR_ID",
}
"""What a relay's own variables can be filled with, by the variable of ours that holds it."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """What the user said of it: the command that starts the relay, `NAME=VALUE` for its environment,
    `NAME: VALUE` headers and subprotocols that it wants of its clients, and the file of the certificates
    by which it is trusted."""

    command: str = ""
    environment: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    subprotocols: tuple[str, ...] = ()
    ca: str = ""

    def check(self) -> None:
        """Raises UsageError for what cannot be."""
        for mapping in self.environment:
            name, equals, value = mapping.partition("=")
            if not equals or not name:
                raise UsageError("--target-env: NAME=VALUE is needed")
            _refuse_unknown(f"--target-env {name}", value)
        if self.environment and not self.command:
            raise UsageError("--target-env is for the relay that --target-cmd starts")
        for header in self.headers:
            self._header(header)
        for subprotocol in self.subprotocols:
            if not _TOKEN.fullmatch(subprotocol):
                raise UsageError(f"--target-subprotocol {subprotocol!r} is no name of a subprotocol")
        self._tls()

    def address(self, url: str) -> RelayAddress:
        """Where its clients connect, and what they bring."""
        headers = tuple(map(self._header, self.headers))
        return RelayAddress(url, headers, self.subprotocols, self._tls())

    def process_environment(self, ours: Mapping[str, str], port: int) -> dict[str, str]:
        """The variables for its process: ours, and its own filled with what ours hold."""
        values = {name: ours.get(variable, "") for name, variable in PLACEHOLDERS.items()}
        values[PORT] = str(port)
        mappings = (mapping.partition("=")[::2] for mapping in self.environment)
        own = {name: _PLACEHOLDER.sub(lambda m: values[m[1]], value) for name, value in mappings}
        return {**ours, **own}

    def _header(self, header: str) -> tuple[str, str]:
        name, colon, value = header.partition(":")
        if not colon or not _TOKEN.fullmatch(name.strip()) or not value.strip().isprintable():
            named = f" {name.strip()}" if colon else ""
            raise UsageError(f"--target-header{named}: NAME: VALUE in one line is needed")
        return name.strip(), value.strip()

    def _tls(self) -> ssl.SSLContext | None:
        if not self.ca:
            return None
        try:
            return ssl.create_default_context(cafile=Path(self.ca))
        except OSError as error:  # ssl.SSLError is one
            raise UsageError(f"--target-ca {self.ca!r} holds no certificates: {error}") from error


def with_port(text: str, port: int) -> str:
    """The text with the relay's port filled in."""
    return text.replace(f"{{{PORT}}}", str(port))


def _refuse_unknown(option: str, text: str) -> None:
    known = (*PLACEHOLDERS, PORT)
    for name in _PLACEHOLDER.findall(text):
        if name not in known:
            raise UsageError(f"{option}: {{{name}}} stands for nothing; there are {', '.join(known)}")
