"""Replaces the names of apps and avatars by references; one name has one reference on the whole tape."""

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from itertools import islice
from typing import Any

from spatius_sim.protocol.messages import Message, ServerError

MAX_CHARACTERS = 500_000
"""The most characters of names that are remembered; the names used last are kept: more than ten thousand ids
of the usual length."""

_NAME_KEYS = {"appId": "app", "app_id": "app", "avatarId": "avatar", "avatar_id": "avatar"}
_PLAIN_KEYS = frozenset({"type", "audio", "frames", "data"})
_SHORTEST = 3
_MAX_PARTS = 100
"""A name with more words and signs is not an id: it is hidden only if it is a whole text."""
_PART = re.compile(r"[\w-]+|[^\w-]")
_IN_WORD = re.compile(r"[\w-]")
_WHOLE = ""
"""The key in the tree that marks the end of a name."""

_Tree = dict[str, Any]
"""Maps the first part of each name to the tree of its further parts, and _WHOLE to the name itself."""


class Names:
    """Gives every name a reference (`app#1`, `avatar#2`), in the order in which the names were first seen.
    The time that a name or a text takes does not depend on how many names are known."""

    def __init__(self) -> None:
        """Begin without names."""
        self._references: OrderedDict[str, str] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._characters = 0
        self._tree: _Tree = {}
        self._pins: dict[Hashable, tuple[str, ...]] = {}
        self._pinned: Counter[str] = Counter()

    def learn(self, kind: str, name: str) -> None:
        """Remember a name of this kind (`app` or `avatar`)."""
        self._forget()
        self._add(kind, name)

    def pin(self, place: Hashable, *names: str) -> None:
        """Remember these names until `unpin`, because they may occur at this place at any time."""
        self.unpin(place)
        self._pins[place] = names
        self._pinned.update(names)

    def unpin(self, place: Hashable) -> None:
        """Allow the names of this place to be forgotten."""
        self._pinned -= Counter(self._pins.pop(place, ()))

    def hide(self, text: str) -> str:
        """Replace the names in a text by references; a name within a word is not a name."""
        if text in self._references:
            return self._reference_for(text)
        parts, copied_until = [], 0
        for part in _PART.finditer(text) if self._tree else ():
            begin = part.start()
            if (
                begin >= copied_until
                and part[0] in self._tree
                and (name := self._longest_name_at(text, begin))
            ):
                parts += [text[copied_until:begin], self._reference_for(name)]
                copied_until = begin + len(name)
        return "".join([*parts, text[copied_until:]])

    def hide_in_json(self, frame: str) -> str:
        """Replace the names in a JSON text; its keys, type and binary stay as they are. The text is written
        again only if a name was replaced."""
        try:
            value = json.loads(frame)
            self._learn_from(value)
            hidden = self._hide_in_value(value)
            return frame if hidden == value else json.dumps(hidden)
        except (ValueError, RecursionError):
            return self.hide(frame)
        finally:
            # Only now: all names in this frame must be known while they are replaced.
            self._forget()

    def hide_in_message(self, message: Message) -> Message:
        """Replace the names in a message of the protocol."""
        if isinstance(message, ServerError):
            return replace(message, message=self.hide(message.message))
        return message

    def _add(self, kind: str, name: str) -> None:
        """Give a new name a reference, and put its words into the tree of names. A known name becomes the
        newest, so that it is forgotten last."""
        if not name or name.startswith(f"{kind}#"):
            return
        if name in self._references:
            self._references.move_to_end(name)
            return
        self._counts[kind] += 1
        self._references[name] = f"{kind}#{self._counts[kind]}"
        self._characters += len(name)
        if parts := _split_name(name):
            tree = self._tree
            for part in parts:
                tree = tree.setdefault(part, {})
            tree[_WHOLE] = name

    def _longest_name_at(self, text: str, begin: int) -> str:
        """Return the longest name that begins at `begin`; "" if none does."""
        if begin and _IN_WORD.match(text[begin - 1]):
            return ""
        tree, position, longest = self._tree, begin, ""
        while (part := _PART.match(text, position)) and (subtree := tree.get(part[0])) is not None:
            tree, position = subtree, part.end()
            if _WHOLE in tree and not _IN_WORD.match(text, position):
                longest = tree[_WHOLE]
        return longest

    def _reference_for(self, name: str) -> str:
        """Return the reference of a known name, and note that the name was used last."""
        self._references.move_to_end(name)
        return self._references[name]

    def _forget(self) -> None:
        """Forget old names that are not pinned, so that memory stays bounded: a proxy may run for months."""
        pinned = 0
        while self._characters > MAX_CHARACTERS and pinned < len(self._references):
            oldest = next(iter(self._references))
            if self._pinned[oldest]:
                self._references.move_to_end(oldest)
                pinned += 1
                continue
            del self._references[oldest]
            self._characters -= len(oldest)
            _remove_from_tree(self._tree, oldest)

    def _learn_from(self, value: Any) -> None:
        """Remember the names under known keys (`appId` ...) in a JSON value."""
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in _NAME_KEYS and isinstance(inner, str):
                    self._add(_NAME_KEYS[key], inner)
                self._learn_from(inner)
        elif isinstance(value, list):
            for inner in value:
                self._learn_from(inner)

    def _hide_in_value(self, value: Any) -> Any:
        """Replace the names in a JSON value; keys, types and binary stay as they are."""
        if isinstance(value, dict):
            return {
                key: inner if key in _PLAIN_KEYS else self._hide_in_value(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self._hide_in_value(inner) for inner in value]
        return self.hide(value) if isinstance(value, str) else value


def _split_name(name: str) -> list[str]:
    """Return the words and signs of a name, by which the name is found; an empty list if the name is found
    only as a whole text."""
    if len(name) < _SHORTEST:
        return []
    parts = list(islice((part[0] for part in _PART.finditer(name)), _MAX_PARTS + 1))
    return parts if len(parts) <= _MAX_PARTS else []


def _remove_from_tree(tree: _Tree, name: str) -> None:
    """Remove a name from the tree, and every branch that held nothing else."""
    branches: list[tuple[_Tree, str]] = []
    for part in _split_name(name):
        branches.append((tree, part))
        tree = tree[part]
    tree.pop(_WHOLE, None)
    for parent, part in reversed(branches):
        if parent[part]:
            break
        del parent[part]
