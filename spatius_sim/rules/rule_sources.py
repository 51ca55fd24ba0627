"""Explains the sources of a rule: each tag of its `source`, in words and with an address."""

import re
from dataclasses import dataclass

_DOCUMENTATION = "https://docs.spatius.ai"
_INDEX = f"{_DOCUMENTATION}/llms.txt"
"""The index of the documentation; it links every page."""

_SEED_DOCUMENTS = {
    "seed:000": "Backend Mode Server SDK",
    "seed:001": "Backend Mode Integration",
    "seed:002": "Backend Mode with your own transport",
    "seed:003": "the overview of the documentation",
    "seed:004": "Host Mode, the older name of Backend Mode",
}
"""The titles of the documents that the tags `seed:...` name: the pages that this project began with."""
_ADDRESSES = {"docs:audio": f"{_DOCUMENTATION}/concepts/audio"}
"""The addresses of the pages that have one of their own; all others are found in the index."""
_SOFTWARE = {
    "sdk-py": ("the Python Server SDK", "https://pypi.org/project/spatius/"),
    "sdk-go": ("the Go Server SDK", "https://github.com/spatius-ai/spatius-sdk-go"),
    "sdk-e2e": ("the Python Server SDK's end-to-end tests", "https://pypi.org/project/spatius/"),
    "sdk-unit": ("the Server SDKs' unit tests", "https://pypi.org/project/spatius/"),
    "recording": ("a request that the vendor recorded and published", ""),
    "demos": ("the vendor's published relays and client apps", ""),
    "plugin": ("the LiveKit plugin for Spatius avatars", "https://pypi.org/project/livekit-plugins-spatius/"),
    "ios-rtc": ("the vendor's public RTC adapter for iOS", ""),
    "tried": ("what a real LiveKit server did", ""),
    "proto3": ("the documentation of Protocol Buffers", "https://protobuf.dev/programming-guides/proto3/"),
    "spatialreal": ("the older Python package spatialreal", "https://pypi.org/project/spatialreal/"),
    "changelog": ("the Web SDK's public changelog", ""),
}
_TAG = re.compile(rf"(?:seed|docs):[\w/-]+|\b(?:{'|'.join(_SOFTWARE)})\b")


@dataclass(frozen=True, slots=True)
class Source:
    """One source: its tag, its title, and its address ("" if it has none)."""

    tag: str
    title: str
    address: str


def sources(source: str) -> tuple[Source, ...]:
    """Return the sources that a rule's `source` names by their tags, in the same order."""
    return tuple(_explain_tag(tag) for tag in _TAG.findall(source))


def describe_sources(source: str) -> str:
    """Return a rule's `source` for people: the title of each document in the place of its tag."""
    return _TAG.sub(lambda match: _explain_tag(match[0]).title, source)


def _explain_tag(tag: str) -> Source:
    """Return the source that this tag names, such as `seed:002`, `docs:audio` or `ios-rtc`, with its title
    and address. A documentation page of unknown address gets that of the documentation's index."""
    if tag in _SOFTWARE:
        return Source(tag, *_SOFTWARE[tag])
    tag_kind, _, page = tag.partition(":")
    title = _SEED_DOCUMENTS.get(tag, tag) if tag_kind == "seed" else f"the page {page} of the documentation"
    return Source(tag, title, _ADDRESSES.get(tag, _INDEX))
