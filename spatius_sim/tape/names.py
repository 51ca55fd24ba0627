"""Names of apps and avatars, replaced alike wherever they occur on a tape."""

import json
import re
from dataclasses import replace
from typing import Any

from spatius_sim.protocol.messages import Message, ServerError

_NAMED = {"appId": "app", "app_id": "app", "avatarId": "avatar", "avatar_id": "avatar"}
_PLAIN_KEYS = frozenset({"type", "audio", "frames", "data"})
_SHORTEST = 3


class Names:
    """Every name gets a reference (`app#1`, `avatar#2`) in the order in which it was first seen."""

    def __init__(self) -> None:
        self._references: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._words: re.Pattern[str] | None = None

    def learn(self, kind: str, name: str) -> None:
        """A name of that kind occurs."""
        if not name or name in self._references or name.startswith(f"{kind}#"):
            return
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        self._references[name] = f"{kind}#{number}"
        words = "|".join(
            re.escape(known)
            for known in sorted(self._references, key=len, reverse=True)
            if len(known) >= _SHORTEST
        )
        self._words = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])") if words else None

    def hide(self, text: str) -> str:
        """The text with references in place of names; a name within a word is no name."""
        if text in self._references:
            return self._references[text]
        return self._words.sub(self._reference, text) if self._words else text

    def hide_in_json(self, frame: str) -> str:
        """The same for a JSON text, whose keys, type and binary stay as they are. It is written again
        only where a name was found, or learnt in it."""
        if not any(f'"{key}"' in frame for key in _NAMED) and not any(
            name in frame for name in self._references
        ):
            return frame
        try:
            stored = json.loads(frame)
        except (ValueError, RecursionError):
            return self.hide(frame)
        self._learn_in(stored)
        hidden = self._hidden(stored)
        return frame if hidden == stored else json.dumps(hidden)

    def hide_in_message(self, message: Message) -> Message:
        """The same for a message of the protocol."""
        if isinstance(message, ServerError):
            return replace(message, message=self.hide(message.message))
        return message

    def _reference(self, found: re.Match[str]) -> str:
        return self._references[found[0]]

    def _learn_in(self, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in _NAMED and isinstance(inner, str):
                    self.learn(_NAMED[key], inner)
                self._learn_in(inner)
        elif isinstance(value, list):
            for inner in value:
                self._learn_in(inner)

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: inner if key in _PLAIN_KEYS else self._hidden(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._hidden(inner) for inner in value]
        return self.hide(value) if isinstance(value, str) else value
