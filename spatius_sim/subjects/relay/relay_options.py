"""Reads the user's options about a relay under test: how clients connect to it, and how the kit starts it if
the user gave a command."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.protocol.environment_variables import (
    API_KEY_VARIABLE,
    APP_ID_VARIABLE,
    AVATAR_ID_VARIABLE,
    CONSOLE_VARIABLE,
    INGRESS_VARIABLE,
    make_no_proxy_variables,
)
from spatius_sim.protocol.errors import UsageError

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header or subprotocol (RFC 9110, 5.6.2)."""

START_SECONDS = 60.0
"""How long a relay that the kit starts may take to answer."""

PORT = "port"

PLACEHOLDERS = {
    "console": CONSOLE_VARIABLE,
    "ingress": INGRESS_VARIABLE,
    "api_key": API_KEY_VARIABLE,
    "app_id": APP_ID_VARIABLE,
    "avatar_id": AVATAR_ID_VARIABLE,
}
"""The placeholders for a relay's own variables, each with the variable of ours that holds its value."""


@dataclass(frozen=True, slots=True)
class RelayStart:
    """How a relay is started and reached, as the user's options say.

    `command` starts the relay, with the `NAME=VALUE` pairs of `environment`. Clients send the `NAME: VALUE`
    pairs of `headers`, and `subprotocols`. `ca` is a file of certificates that clients trust."""

    command: str = ""
    environment: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    subprotocols: tuple[str, ...] = ()
    ca: str = ""

    def check_options(self) -> None:
        """Check the options that the user gave about the relay: how it is started, and how clients connect to
        it. Raises UsageError if an option is malformed, or is given without the option that it belongs to."""
        for mapping in self.environment:
            name, equals, value = mapping.partition("=")
            if not equals or not name:
                raise UsageError("--target-env: NAME=VALUE is needed")
            _refuse_unknown_placeholders(f"--target-env {name}", value)
        if self.environment and not self.command:
            raise UsageError("--target-env is for the relay that --target-cmd starts")
        for header in self.headers:
            self._split_header(header)
        for subprotocol in self.subprotocols:
            if not _TOKEN.fullmatch(subprotocol):
                raise UsageError(f"--target-subprotocol {subprotocol!r} is not a name of a subprotocol")
        self._load_certificates()

    def address(self, url: str) -> RelayAddress:
        """Return the address of the relay at this URL, with the headers, subprotocols and certificates."""
        headers = tuple(map(self._split_header, self.headers))
        return RelayAddress(url, headers, self.subprotocols, self._load_certificates())

    def process_environment(self, kit_variables: Mapping[str, str], port: int) -> dict[str, str]:
        """Return the environment variables for the relay's process: those of the kit and those of the user.
        In the user's values, placeholders such as `{port}` are replaced. If a variable names an HTTP proxy,
        NO_PROXY is set so that the relay reaches the kit without the proxy, unless the user sets NO_PROXY."""
        value_by_placeholder = {
            name: kit_variables.get(variable, "") for name, variable in PLACEHOLDERS.items()
        }
        value_by_placeholder[PORT] = str(port)
        mappings = (mapping.partition("=")[::2] for mapping in self.environment)
        user_variables = {
            name: _PLACEHOLDER.sub(lambda match: value_by_placeholder[match[1]], value)
            for name, value in mappings
        }
        no_proxy_variables = make_no_proxy_variables({**kit_variables, **user_variables})
        return {**kit_variables, **no_proxy_variables, **user_variables}

    def _split_header(self, header: str) -> tuple[str, str]:
        """Split the value of an option about the relay, `--target-header`: return name and value of the HTTP
        header that the user gave as `NAME: VALUE`. Raises UsageError if `header` has not this form."""
        name, colon, value = header.partition(":")
        if not colon or not _TOKEN.fullmatch(name.strip()) or not value.strip().isprintable():
            name_shown = f" {name.strip()}" if colon else ""
            raise UsageError(f"--target-header{name_shown}: NAME: VALUE in one line is needed")
        return name.strip(), value.strip()

    def _load_certificates(self) -> ssl.SSLContext | None:
        """Load the certificates from the file that the user named by `--target-ca`, and return a TLS context
        that trusts them. Return None if the user named no file. Raises UsageError if the file cannot be read
        or holds no certificates."""
        if not self.ca:
            return None
        try:
            return ssl.create_default_context(cafile=Path(self.ca))
        except OSError as error:  # ssl.SSLError is an OSError
            raise UsageError(f"--target-ca {self.ca!r} holds no certificates: {error}") from error


def with_port(text: str, port: int) -> str:
    """Return the text with each `{port}` replaced by the relay's port."""
    return text.replace(f"{{{PORT}}}", str(port))


def _refuse_unknown_placeholders(option: str, text: str) -> None:
    """Raise UsageError if the value `text` of a command-line option holds a placeholder, such as `{port}`,
    with an unknown name."""
    known = (*PLACEHOLDERS, PORT)
    for name in _PLACEHOLDER.findall(text):
        if name not in known:
            raise UsageError(f"{option}: {{{name}}} stands for nothing; there are {', '.join(known)}")
