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
    """Gives every name of an app or avatar a reference (`app#1`, `avatar#2`), in the order in which the names
    were first seen. The time that a name or a text takes does not depend on how many names are known."""

    def __init__(self) -> None:
        """Begin without names of apps and avatars, and so without references."""
        self._references: OrderedDict[str, str] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._character_count = 0
        self._tree: _Tree = {}
        self._pins: dict[Hashable, tuple[str, ...]] = {}
        self._pin_counts: Counter[str] = Counter()

    def learn(self, kind: str, name: str) -> None:
        """Give the name of an app or avatar a reference, if it has none; `kind` is `app` or `avatar`."""
        self._forget_old_names()
        self._add_name(kind, name)

    def pin(self, holder: Hashable, *names: str) -> None:
        """Keep the references of these names of apps and avatars until `unpin(holder)`: the holder, such as
        an open connection, may use the names at any time."""
        self.unpin(holder)
        self._pins[holder] = names
        self._pin_counts.update(names)

    def unpin(self, holder: Hashable) -> None:
        """Allow the references of the names that this holder pinned to be forgotten."""
        self._pin_counts -= Counter(self._pins.pop(holder, ()))

    def hide(self, text: str) -> str:
        """Replace the names of apps and avatars in a text by their references. A name inside a longer word is
        left as it is."""
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
        """Replace the names of apps and avatars in a JSON text by their references; its keys, types and
        binary stay as they are. If no name is replaced, the text is returned unchanged. Text that is not JSON
        is treated as plain text."""
        try:
            value = json.loads(frame)
            self._learn_from(value)
            hidden = self._hide_in_value(value)
            return frame if hidden == value else json.dumps(hidden)
        except (ValueError, RecursionError):
            return self.hide(frame)
        finally:
            # Only now: all names in this frame must be known while they are replaced.
            self._forget_old_names()

    def hide_in_message(self, message: Message) -> Message:
        """Return a message of the protocol with references (`app#1`) in place of the names of apps and
        avatars. Only the text of a ServerError can hold such names."""
        if isinstance(message, ServerError):
            return replace(message, message=self.hide(message.message))
        return message

    def _add_name(self, kind: str, name: str) -> None:
        """Give a new name of an app or avatar its reference, and put the words of the name into the tree of
        names. A known name becomes the newest, so that it is forgotten last. A name that looks like a
        reference is ignored."""
        if not name or name.startswith(f"{kind}#"):
            return
        if name in self._references:
            self._references.move_to_end(name)
            return
        self._counts[kind] += 1
        self._references[name] = f"{kind}#{self._counts[kind]}"
        self._character_count += len(name)
        if parts := _split_name(name):
            tree = self._tree
            for part in parts:
                tree = tree.setdefault(part, {})
            tree[_WHOLE] = name

    def _longest_name_at(self, text: str, begin: int) -> str:
        """Return the longest known name of an app or avatar that begins at position `begin` of a text; "" if
        none begins there."""
        if begin and _IN_WORD.match(text[begin - 1]):
            return ""
        tree, position, longest = self._tree, begin, ""
        while (part := _PART.match(text, position)) and (subtree := tree.get(part[0])) is not None:
            tree, position = subtree, part.end()
            if _WHOLE in tree and not _IN_WORD.match(text, position):
                longest = tree[_WHOLE]
        return longest

    def _reference_for(self, name: str) -> str:
        """Return the reference of a known name, and note that this name was used last."""
        self._references.move_to_end(name)
        return self._references[name]

    def _forget_old_names(self) -> None:
        """Forget the oldest names of apps and avatars, with their references, until all names together have
        at most MAX_CHARACTERS. A pinned name, which an open connection still uses, is never forgotten. So
        memory stays limited while a proxy runs for months."""
        pinned_seen = 0
        while self._character_count > MAX_CHARACTERS and pinned_seen < len(self._references):
            oldest = next(iter(self._references))
            if self._pin_counts[oldest]:
                self._references.move_to_end(oldest)
                pinned_seen += 1
                continue
            del self._references[oldest]
            self._character_count -= len(oldest)
            _remove_from_tree(self._tree, oldest)

    def _learn_from(self, value: Any) -> None:
        """Give references to the names of apps and avatars in a JSON value: the values of the keys `appId`,
        `avatarId` and so on."""
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in _NAME_KEYS and isinstance(inner, str):
                    self._add_name(_NAME_KEYS[key], inner)
                self._learn_from(inner)
        elif isinstance(value, list):
            for inner in value:
                self._learn_from(inner)

    def _hide_in_value(self, value: Any) -> Any:
        """Return a JSON value with references in place of the names of apps and avatars in its texts. The
        keys, and the values of keys that hold no names, stay as they are."""
        if isinstance(value, dict):
            return {
                key: inner if key in _PLAIN_KEYS else self._hide_in_value(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self._hide_in_value(inner) for inner in value]
        return self.hide(value) if isinstance(value, str) else value


def _split_name(name: str) -> list[str]:
    """Split the name of an app or avatar into words and signs, by which a text is searched for this name.
    Return an empty list for a very short or very long name: it is replaced by its reference only if it is the
    whole text."""
    if len(name) < _SHORTEST:
        return []
    parts = list(islice((part[0] for part in _PART.finditer(name)), _MAX_PARTS + 1))
    return parts if len(parts) <= _MAX_PARTS else []


def _remove_from_tree(tree: _Tree, name: str) -> None:
    """Remove the name of an app or avatar, which is forgotten, from the tree of names, and every branch that
    held only this name."""
    branches: list[tuple[_Tree, str]] = []
    for part in _split_name(name):
        branches.append((tree, part))
        tree = tree[part]
    tree.pop(_WHOLE, None)
    for parent, part in reversed(branches):
        if parent[part]:
            break
        del parent[part]
