"""Finds out in which ways a relay itself offers to start a turn: clips that it lists, words, or a rate."""

import json
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from spatius_sim.files.wire_file import find_wire
from spatius_sim.protocol.audio import PCM_SAMPLE_RATES
from spatius_sim.protocol.errors import UsageError
from spatius_sim.subjects.relay.start_turns import check_sayable, read_turn_start

CLIP_LIST = "/api/config"
"""Where the vendor's demo lists its clips: `clips[{name, clip}]` (demos)."""

_DOCUMENT_WIRE = "http-document"
_LARGEST_LIST = 65_536
_SECONDS = 2.0
_MAX_CLIPS = 2
_LONGEST_NAME = 200
_WORDS = "text:Hello, how are you?"
_directly = build_opener(ProxyHandler({}))


def list_offers(target: str, wire_name: str, wire_file: str = "") -> list[str]:
    """Return the values of `--turn` by which this relay offers to start a turn, the likeliest first.
    `wire_file` is the wire as the user named it, "" if it was found out."""
    wire = find_wire(wire_file or wire_name)
    clips = [f"clip:{clip}" for clip in list_clips(target)]
    rates = [f"clip:{rate}" for rate in PCM_SAMPLE_RATES[1:2]] if wire.name == _DOCUMENT_WIRE else []
    offers = []
    for offer in (*clips, *rates, _WORDS):
        try:
            check_sayable(read_turn_start(offer, None), wire)
        except UsageError:
            continue
        offers.append(offer)
    return offers


def list_clips(target: str) -> list[str]:
    """Return the names of clips by which the relay at this URL offers to start a turn, at most the first few
    of its list (the vendor's demo serves such a list); [] if the relay has no list."""
    parts = urlsplit(target)
    secure = "s" if parts.scheme in ("wss", "https") else ""
    try:
        with _directly.open(f"http{secure}://{parts.netloc}{CLIP_LIST}", timeout=_SECONDS) as answer:
            listed = json.loads(answer.read(_LARGEST_LIST)).get("clips")
        names = [entry["clip"] for entry in listed]
    except (URLError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
    usable_names = [name for name in names if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME]
    return usable_names[:_MAX_CLIPS]
