"""Finds secrets in command lines, and makes command lines that may be shown."""

import re
import shlex
from collections.abc import Iterator

from spatius_sim.trace.secrets_in_settings_and_urls import (
    HIDDEN,
    StandIn,
    hide_value,
    secrets_in_setting,
    url_without_secrets,
)

_PLACEHOLDERS = re.compile(r"(?:\{\w+\})*")
"""A value of a command that the kit fills in."""


def command_without_secrets(command: str, make_stand_in: StandIn = hide_value) -> str:
    """Return a command line without the secrets in its words, so that people may see it.
    `make_stand_in(name)` returns the text that is shown instead of a secret; `name` is its name, such as an
    option. Return HIDDEN alone if no shell would accept the command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return HIDDEN
    shown_words = [
        before
        + (url_without_secrets(value, make_stand_in) if "://" in value else make_stand_in(name or "argument"))
        if any(secrets_in_setting(name, value))
        else before + value
        for before, name, value in _split_words(words)
    ]
    return command if shown_words == words else shlex.join(shown_words)


def secrets_in_command(command: str) -> Iterator[str]:
    """Yield the secrets in a command line, as `secrets_in_setting` finds them in `NAME=VALUE`,
    `--name=VALUE`, `--name VALUE`, and in words without a name. Yield nothing if no shell would accept the
    command."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    for _, name, value in _split_words(words):
        yield from secrets_in_setting(name, value)


def _split_words(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Split each word of a command line so that secrets can be looked for in it. Yield three texts for each
    word: the part before its value (`NAME=` or ""), the name of the value, and the value. The value of
    `--name VALUE` gets the name of the word before it. The name is "" if the value has none, or if the kit
    fills the value in (a placeholder)."""
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        if equals and "://" not in name:  # In a URL, a = begins no value of a setting.
            before = name + equals
        else:
            before, name, value = "", "" if word.startswith("-") else option, word
        is_placeholder = _PLACEHOLDERS.fullmatch(value) is not None
        yield before, "" if is_placeholder else name.lstrip("-"), value
        option = word if word.startswith("-") and not equals else ""
