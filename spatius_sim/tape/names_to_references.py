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

_KIND_BY_KEY = {"appId": "app", "app_id": "app", "avatarId": "avatar", "avatar_id": "avatar"}
_KEYS_WITHOUT_NAMES = frozenset({"type", "audio", "frames", "data"})
_SHORTEST_SEARCHED = 3
_MAX_PARTS = 100
"""A name with more words and signs is not an id: it is hidden only if it is a whole text."""
_WORD_OR_SIGN = re.compile(r"[\w-]+|[^\w-]")
_WORD_CHARACTER = re.compile(r"[\w-]")
_END_OF_NAME = ""
"""The key in the tree that marks the end of a name."""

_Tree = dict[str, Any]
"""Maps the first part of each name to the tree of its further parts, and _END_OF_NAME to the name itself."""


class NameReferences:
    """Gives every name of an app or avatar a reference (`app#1`, `avatar#2`), in the order in which the names
    were first seen. The time that a name or a text takes does not depend on how many names are known."""

    def __init__(self) -> None:
        """Begin without names of apps and avatars, and so without references."""
        self._references: OrderedDict[str, str] = OrderedDict()
        self._count_by_kind: Counter[str] = Counter()
        self._character_count = 0
        """How many characters all names have together."""
        self._tree: _Tree = {}
        """All names, part by part, so that a text is searched for all of them at once."""
        self._names_by_holder: dict[Hashable, tuple[str, ...]] = {}
        self._holder_counts: Counter[str] = Counter()
        """How many holders, such as open connections, need each name: it must not be forgotten."""

    def learn(self, kind: str, name: str) -> None:
        """Give the name of an app or avatar a reference, if it has none; `kind` is `app` or `avatar`."""
        self._forget_old_names()
        self._add_name(kind, name)

    def keep_for(self, holder: Hashable, *names: str) -> None:
        """Keep these names of apps and avatars, with their references, at least until
        `release_holder(holder)`, so that they are not forgotten as the oldest. The holder, such as an open
        connection, may use the names at any time. They replace the names that were kept for it before."""
        self.release_holder(holder)
        self._names_by_holder[holder] = names
        self._holder_counts.update(names)

    def release_holder(self, holder: Hashable) -> None:
        """Allow the names that were kept for this holder, and their references, to be forgotten."""
        self._holder_counts -= Counter(self._names_by_holder.pop(holder, ()))

    def hide(self, text: str) -> str:
        """Return the text with references (`app#1`) in place of the names of apps and avatars. If several
        names begin at the same place, the longest is replaced. A name inside a longer word stays as it is."""
        if text in self._references:
            return self._reference_for(text)
        parts, copied_until = [], 0
        for part in _WORD_OR_SIGN.finditer(text) if self._tree else ():
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
        """Return a JSON text with references in place of the names of apps and avatars. First learn the names
        in it: the texts of keys such as `appId`. Keys, and values such as audio, stay as they are. A text
        without names is returned unchanged. Text that is not JSON is treated as plain text."""
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
        """Give a new name its reference, such as `app#1`, and put its parts into the tree by which texts are
        searched. `kind` is `app` or `avatar`. A known name counts as used now: names that were used before it
        are forgotten first. An empty name is ignored, and so is a name that looks like a reference."""
        if not name or name.startswith(f"{kind}#"):
            return
        if name in self._references:
            self._references.move_to_end(name)
            return
        self._count_by_kind[kind] += 1
        self._references[name] = f"{kind}#{self._count_by_kind[kind]}"
        self._character_count += len(name)
        if parts := _split_name(name):
            branch = self._tree
            for part in parts:
                branch = branch.setdefault(part, {})
            branch[_END_OF_NAME] = name

    def _longest_name_at(self, text: str, begin: int) -> str:
        """Return the longest known name of an app or avatar that begins at the index `begin` of a text; "" if
        none does. A name must not begin or end within a word."""
        if begin and _WORD_CHARACTER.match(text[begin - 1]):
            return ""
        branch, position, longest_name = self._tree, begin, ""
        while (part := _WORD_OR_SIGN.match(text, position)) and (subtree := branch.get(part[0])) is not None:
            branch, position = subtree, part.end()
            if _END_OF_NAME in branch and not _WORD_CHARACTER.match(text, position):
                longest_name = branch[_END_OF_NAME]
        return longest_name

    def _reference_for(self, name: str) -> str:
        """Return the reference of a known name, and note that this name was used last."""
        self._references.move_to_end(name)
        return self._references[name]

    def _forget_old_names(self) -> None:
        """Forget the names of apps and avatars that were used longest ago, until all names together have at
        most MAX_CHARACTERS. Names that a holder, such as an open connection, still needs are kept. So memory
        stays limited while a proxy runs for months."""
        kept_count = 0
        while self._character_count > MAX_CHARACTERS and kept_count < len(self._references):
            oldest = next(iter(self._references))
            if self._holder_counts[oldest]:
                self._references.move_to_end(oldest)
                kept_count += 1
                continue
            del self._references[oldest]
            self._character_count -= len(oldest)
            _remove_from_tree(self._tree, oldest)

    def _learn_from(self, value: Any) -> None:
        """Give references to the names of apps and avatars in a JSON value, at any depth. They are the texts
        of the keys `appId`, `avatarId`, `app_id` and `avatar_id`."""
        if isinstance(value, dict):
            for key, inner_value in value.items():
                if key in _KIND_BY_KEY and isinstance(inner_value, str):
                    self._add_name(_KIND_BY_KEY[key], inner_value)
                self._learn_from(inner_value)
        elif isinstance(value, list):
            for inner_value in value:
                self._learn_from(inner_value)

    def _hide_in_value(self, value: Any) -> Any:
        """Replace the names of apps and avatars in the texts of a JSON value by their references (`app#1`),
        at any depth, and return the value. Keys stay as they are, and so do the values of keys that hold no
        names, such as `audio`."""
        if isinstance(value, dict):
            return {
                key: inner_value if key in _KEYS_WITHOUT_NAMES else self._hide_in_value(inner_value)
                for key, inner_value in value.items()
            }
        if isinstance(value, list):
            return [self._hide_in_value(inner_value) for inner_value in value]
        return self.hide(value) if isinstance(value, str) else value


def _split_name(name: str) -> list[str]:
    """Split the name of an app or avatar into words and signs. By these parts, longer texts are searched for
    the name. Return an empty list if the name has too few characters or too many parts. Longer texts are not
    searched for such a name."""
    if len(name) < _SHORTEST_SEARCHED:
        return []
    parts = list(islice((part[0] for part in _WORD_OR_SIGN.finditer(name)), _MAX_PARTS + 1))
    return parts if len(parts) <= _MAX_PARTS else []


def _remove_from_tree(tree: _Tree, name: str) -> None:
    """Remove a forgotten name of an app or avatar from the tree of names (a trie whose keys are parts of
    names). Also remove each branch that held only this name."""
    path: list[tuple[_Tree, str]] = []
    for part in _split_name(name):
        path.append((tree, part))
        tree = tree[part]
    tree.pop(_END_OF_NAME, None)
    for parent, part in reversed(path):
        if parent[part]:  # Another name needs this branch.
            break
        del parent[part]
