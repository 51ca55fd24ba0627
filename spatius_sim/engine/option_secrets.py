"""What the options of a run tell in confidence, and how they are shown without it.

The values of headers are never shown, for they may be a login. Those of variables are shown where they are
nothing but placeholders (`PORT={port}`), and URLs without their user, password and the values of their query.
Nothing heavy is imported: pytest loads this in every project that has us installed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from spatius_sim.protocol.environment import API_KEY_VARIABLE
from spatius_sim.trace.logins import (
    StandIn,
    hide_value,
    secrets_in_header,
    secrets_in_setting,
    secrets_in_url,
    shown_url,
)

_SUBJECTS = ("target", "server", "client")
_URL = re.compile(r"(?:\w+=)?\w+://")
"""Of two that are named, `console=URL,ingress=URL`, the first."""

_HEADERS, _VARIABLES = "target-header", "target-env"
_PLACEHOLDER = re.compile(r"\{\w+\}")
"""The variable of the environment that says by which key a Motion Server is asked."""


@dataclass(slots=True)
class Variables:
    """Stand-ins that refer to variables of the environment, one for each place."""

    names: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> str:
        """The reference to a variable of that name, or of the name and a number."""
        name = re.sub(r"\W", "_", name, flags=re.ASCII)
        free = (f"{name}_{number}" if number > 1 else name for number in count(1))
        self.names.append(next(one for one in free if one not in self.names))
        return f"${{{self.names[-1]}}}"


def without_secrets(values: Mapping[str, Any], stand_in: StandIn = hide_value) -> dict[str, Any]:
    """The values of options, by option name, with stand-ins for what may be a secret. Their places are the
    names of variables, and of those of headers and URLs `RELAY_NAME`."""

    def ours(name: str) -> str:
        return stand_in(f"RELAY_{re.sub('[^A-Z0-9]', '_', name.upper())}")

    def header(text: str) -> str:
        name, _, _ = text.partition(":")
        return f"{name}: {ours(name)}"

    def variable(text: str) -> str:
        name, equals, value = text.partition("=")
        return f"{name}={stand_in(name)}" if equals and _PLACEHOLDER.sub("", value) else text

    shown = dict(values)
    for option in _SUBJECTS:
        if shown.get(option):
            shown[option] = shown_subject(shown[option], ours)
    for option, show in ((_VARIABLES, variable), (_HEADERS, header)):
        if shown.get(option):
            shown[option] = [show(text) for text in shown[option]]
    return shown


def shown_subject(named: str, stand_in: StandIn = hide_value) -> str:
    """A subject as it may be shown: a URL, the two of a Motion Server, or a command, which is shown whole."""
    return shown_url(named, stand_in) if _URL.match(named) else named


def secrets_in(values: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    """What the values of options, by option name, and the environment tell in confidence."""
    yield environment.get(API_KEY_VARIABLE, "")
    for text in values.get(_HEADERS) or ():
        name, _, value = text.partition(":")
        yield from secrets_in_header(name.strip(), value.strip())
        yield from secrets_in_setting("", value.strip())
    for text in values.get(_VARIABLES) or ():
        name, _, value = text.partition("=")
        yield from chain.from_iterable(secrets_in_setting(name, part) for part in _PLACEHOLDER.split(value))
    for option in _SUBJECTS:
        named = values.get(option) or ""
        if _URL.match(named):
            for url in re.split(r"(?:^|,)\w+=(?=\w+://)", named):
                yield from secrets_in_url(url)
