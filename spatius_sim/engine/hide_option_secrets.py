"""Finds the secrets in the options of a run, and shows the options without them.

The values of headers are never shown, for they may be a login. The value of a variable is shown if it has
nothing but placeholders (`PORT={port}`). URLs are shown without user, password and the values of the query.
Nothing heavy is imported: pytest loads this in every project that has us installed.
"""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from spatius_sim.engine.option_table import (
    KIND_BY_SUBJECT_OPTION,
    options_as_arguments,
    subject_kind_of_option,
)
from spatius_sim.protocol.environment_variables import API_KEY_VARIABLE, LIVEKIT_SECRET_VARIABLE
from spatius_sim.trace.secrets_in_commands import command_without_secrets, secrets_in_command
from spatius_sim.trace.secrets_in_settings_and_urls import (
    StandIn,
    hide_value,
    secrets_in_header,
    secrets_in_setting,
    secrets_in_url,
    url_without_secrets,
)

_SUBJECTS = ("target", "server", "client", "room")
_URL = re.compile(r"(?:\w+=)?\w+://")
"""Matches the beginning of a subject that is a URL, or two of them: `console=URL,ingress=URL`."""

_HEADERS, _VARIABLES, _COMMAND = "target-header", "target-env", "target-cmd"
_PLACEHOLDER = re.compile(r"\{\w+\}")
"""A part of the value of a variable that the kit fills in."""


@dataclass(slots=True)
class Variables:
    """Makes texts such as `${NAME}`, which stand in place of secrets and refer to variables of the
    environment. `names` are the variables so far; each such place has a variable of its own."""

    names: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> str:
        """Return a reference to a new environment variable, such as `${NAME}`, to be shown in place of a
        secret. Each call makes another variable: if `name` is taken, a number is added."""
        variable_name = re.sub(r"\W", "_", name, flags=re.ASCII)
        candidates = (f"{variable_name}_{number}" if number > 1 else variable_name for number in count(1))
        self.names.append(next(candidate for candidate in candidates if candidate not in self.names))
        return f"${{{self.names[-1]}}}"


def without_secrets(values: Mapping[str, Any], stand_in: StandIn = hide_value) -> dict[str, Any]:
    """Return the values of options, by option name, with another text in place of everything that may be a
    secret. `stand_in` returns this text for the name of the secret: the name of a variable, or `RELAY_NAME`
    for the header or the part of a URL with the name NAME."""

    def relay_stand_in(name: str) -> str:
        """Return the text to show in place of the header, or part of a URL or command, with this name."""
        return stand_in(f"RELAY_{re.sub('[^A-Z0-9]', '_', name.upper())}")

    def hide_header_value(text: str) -> str:
        """Return the header `NAME: VALUE` with another text in place of its value."""
        name, _, _ = text.partition(":")
        return f"{name}: {relay_stand_in(name)}"

    def hide_variable_value(text: str) -> str:
        """Return the variable `NAME=VALUE` with another text in place of its value; as it is if the value has
        nothing but placeholders such as `{port}`."""
        name, equals, value = text.partition("=")
        return f"{name}={stand_in(name)}" if equals and _PLACEHOLDER.sub("", value) else text

    shown_values = dict(values)
    for option in _SUBJECTS:
        if shown_values.get(option):
            shown_values[option] = subject_without_secrets(shown_values[option], relay_stand_in)
    if shown_values.get(_COMMAND):
        shown_values[_COMMAND] = command_without_secrets(shown_values[_COMMAND], relay_stand_in)
    for option, hide in ((_VARIABLES, hide_variable_value), (_HEADERS, hide_header_value)):
        if shown_values.get(option):
            shown_values[option] = [hide(text) for text in shown_values[option]]
    return shown_values


def subject_without_secrets(subject: str, stand_in: StandIn = hide_value) -> str:
    """Return a subject as it may be shown: a URL or a command without its secrets."""
    show = url_without_secrets if _URL.match(subject) else command_without_secrets
    return show(subject, stand_in)


def find_subject_by_kind(values: Mapping[str, Any]) -> dict[str, str]:
    """Return a dict with the subject that these options name, to be shown to people: its address or command
    without secrets, by its kind, such as `{"relay": "ws://..."}`. Return an empty dict if they name no
    subject. `values` holds the value of each option by its name."""
    return {
        subject_kind_of_option(option_name, values): subject_without_secrets(values[option_name])
        for option_name in KIND_BY_SUBJECT_OPTION
        if values.get(option_name)
    }


def options_for_shell(values: Mapping[str, Any], owned_by_others: Collection[str] = ()) -> str:
    """Return these options, given by name, as text that a user can type in a shell. In place of secrets other
    texts are shown. `owned_by_others` is for pytest alone: names that are options of other pytest plugins. An
    option of ours with such a name gets its long name, `--spatius-NAME`."""
    shown_values = without_secrets(values)
    value_by_typed_name = {
        f"spatius-{name}" if name in owned_by_others else name: value for name, value in shown_values.items()
    }
    return " ".join(shlex.quote(argument) for argument in options_as_arguments(value_by_typed_name))


def secrets_in(values: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield every secret in the options of a run and in the environment variables: the API key, the LiveKit
    secret, the values of headers, the values of variables for the relay, and the logins in commands and URLs.
    `values` holds the value of each option by its name. An environment variable that is not set yields ""."""
    yield environment.get(API_KEY_VARIABLE, "")
    yield environment.get(LIVEKIT_SECRET_VARIABLE, "")
    for text in values.get(_HEADERS) or ():
        name, _, value = text.partition(":")
        yield from secrets_in_header(name.strip(), value.strip())
        yield from secrets_in_setting("", value.strip())
    for text in values.get(_VARIABLES) or ():
        name, _, value = text.partition("=")
        yield from chain.from_iterable(
            secrets_in_setting(name, text_part) for text_part in _PLACEHOLDER.split(value)
        )
    yield from secrets_in_command(values.get(_COMMAND) or "")
    for option in _SUBJECTS:
        subject = values.get(option) or ""
        if not _URL.match(subject):
            yield from secrets_in_command(subject)
        else:
            # A subject may be several URLs: `console=URL,ingress=URL`.
            for url in re.split(r"(?:^|,)\w+=(?=\w+://)", subject):
                yield from secrets_in_url(url)
