"""Names of apps and avatars, replaced alike wherever they occur on a tape."""

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from itertools import islice
from typing import Any

from spatius_sim.protocol.messages import Message, ServerError

MOST_CHARACTERS = 500_000
"""Of all names that are remembered, those used last: more than ten thousand ids of the usual length."""

_NAMED = {"appId": "app", "app_id": "app", "avatarId": "avatar", "avatar_id": "avatar"}
_PLAIN_KEYS = frozenset({"type", "audio", "frames", "data"})
_SHORTEST = 3
_MOST_PARTS = 100
"""A name of more words and signs is no id; it is hidden only if it is a whole text."""
_PART = re.compile(r"[\w-]+|[^\w-]")
_IN_WORD = re.compile(r"[\w-]")
_WHOLE = ""
"""In the tree: a name ends here."""

_Tree = dict[str, Any]
"""By the first part of a name the tree of what follows it, and under _WHOLE the name itself."""


class Names:
    """Every name gets a reference (`app#1`, `avatar#2`) in the order in which it was first seen. What one
    costs, and a text, does not depend on how many are known."""

    def __init__(self) -> None:
        self._references: OrderedDict[str, str] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._characters = 0
        self._tree: _Tree = {}
        self._pins: dict[Hashable, tuple[str, ...]] = {}
        self._pinned: Counter[str] = Counter()

    def learn(self, kind: str, name: str) -> None:
        """A name of that kind occurs."""
        self._forget()
        self._add(kind, name)

    def pin(self, place: Hashable, *names: str) -> None:
        """Remember these names until `unpin`, for they may occur at that place at any time."""
        self.unpin(place)
        self._pins[place] = names
        self._pinned.update(names)

    def unpin(self, place: Hashable) -> None:
        """The names of that place may be forgotten in their turn."""
        self._pinned -= Counter(self._pins.pop(place, ()))

    def hide(self, text: str) -> str:
        """The text with references in place of names; a name within a word is no name."""
        if text in self._references:
            return self._reference(text)
        hidden, copied = [], 0
        for part in _PART.finditer(text) if self._tree else ():
            begin = part.start()
            if begin >= copied and part[0] in self._tree and (name := self._longest(text, begin)):
                hidden += [text[copied:begin], self._reference(name)]
                copied = begin + len(name)
        return "".join([*hidden, text[copied:]])

    def hide_in_json(self, frame: str) -> str:
        """The same for a JSON text, whose keys, type and binary stay as they are. It is written again
        only if a name was found, or learnt in it."""
        try:
            stored = json.loads(frame)
            self._learn_in(stored)
            hidden = self._hidden(stored)
            return frame if hidden == stored else json.dumps(hidden)
        except (ValueError, RecursionError):
            return self.hide(frame)
        finally:
            # Not before: all that this frame names must be known while it is hidden.
            self._forget()

    def hide_in_message(self, message: Message) -> Message:
        """The same for a message of the protocol."""
        if isinstance(message, ServerError):
            return replace(message, message=self.hide(message.message))
        return message

    def _add(self, kind: str, name: str) -> None:
        if not name or name.startswith(f"{kind}#"):
            return
        if name in self._references:
            self._references.move_to_end(name)
            return
        self._counts[kind] += 1
        self._references[name] = f"{kind}#{self._counts[kind]}"
        self._characters += len(name)
        if parts := _parts_of(name):
            tree = self._tree
            for part in parts:
                tree = tree.setdefault(part, {})
            tree[_WHOLE] = name

    def _longest(self, text: str, begin: int) -> str:
        """The longest name that begins there, "" if none does."""
        if begin and _IN_WORD.match(text[begin - 1]):
            return ""
        tree, place, longest = self._tree, begin, ""
        while (part := _PART.match(text, place)) and (deeper := tree.get(part[0])) is not None:
            tree, place = deeper, part.end()
            if _WHOLE in tree and not _IN_WORD.match(text, place):
                longest = tree[_WHOLE]
        return longest

    def _reference(self, name: str) -> str:
        self._references.move_to_end(name)
        return self._references[name]

    def _forget(self) -> None:
        """Old names, but none that is pinned: a proxy may run for months."""
        pinned = 0
        while self._characters > MOST_CHARACTERS and pinned < len(self._references):
            oldest = next(iter(self._references))
            if self._pinned[oldest]:
                self._references.move_to_end(oldest)
                pinned += 1
                continue
            del self._references[oldest]
            self._characters -= len(oldest)
            _prune(self._tree, oldest)

    def _learn_in(self, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in _NAMED and isinstance(inner, str):
                    self._add(_NAMED[key], inner)
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


def _parts_of(name: str) -> list[str]:
    """The words and signs that a name is found by; none if it is only found as a whole text."""
    if len(name) < _SHORTEST:
        return []
    parts = list(islice((part[0] for part in _PART.finditer(name)), _MOST_PARTS + 1))
    return parts if len(parts) <= _MOST_PARTS else []


def _prune(tree: _Tree, name: str) -> None:
    """Take a name out of the tree, and the branches that held nothing else."""
    way: list[tuple[_Tree, str]] = []
    for part in _parts_of(name):
        way.append((tree, part))
        tree = tree[part]
    tree.pop(_WHOLE, None)
    for above, part in reversed(way):
        if above[part]:
            break
        del above[part]
