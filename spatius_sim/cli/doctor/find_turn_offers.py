"""Finds out in which ways a relay itself offers to start a turn: clips that it lists, words, or a rate."""

import json
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from spatius_sim.files.wire_file import find_wire
from spatius_sim.protocol.audio import PCM_SAMPLE_RATES
from spatius_sim.protocol.errors import UsageError
from spatius_sim.subjects.relay.start_turns import check_sayable, read_turn_start

CLIP_LIST_PATH = "/api/config"
"""Where the vendor's demo lists its clips: `clips[{name, clip}]` (demos)."""

_DOCUMENT_WIRE = "http-document"
_LARGEST_LIST_BYTES = 65_536
_TIMEOUT_SECONDS = 2.0
_MAX_CLIP_COUNT = 2
_LONGEST_CLIP_NAME = 200
_WORDS_OFFER = "text:Hello, how are you?"
_opener_without_proxy = build_opener(ProxyHandler({}))


def list_turn_offers(target: str, wire_name: str, wire_file: str = "") -> list[str]:
    """Return the ways to start a turn that are worth trying with this relay, the likeliest first. Each is a
    value of the option `--turn`, such as `clip:hello.wav`. Only what the wire (message format) can carry is
    returned. `wire_file` is the wire as the user named it; if it is "", `wire_name` counts."""
    wire = find_wire(wire_file or wire_name)
    clips = [f"clip:{clip_name}" for clip_name in list_clips(target)]
    # The HTTP example of the Server SDK is asked for speech by a sample rate; one is tried: 16 kHz.
    rates = [f"clip:{rate}" for rate in PCM_SAMPLE_RATES[1:2]] if wire.name == _DOCUMENT_WIRE else []
    offers = []
    for offer in (*clips, *rates, _WORDS_OFFER):
        try:
            check_sayable(read_turn_start(offer, None), wire)
        except UsageError:
            continue
        offers.append(offer)
    return offers


def list_clips(target: str) -> list[str]:
    """Ask the relay at this URL for its list of speech clips, and return the names of the first few. Return
    [] if the relay has no list; the vendor's demo has one."""
    target_url = urlsplit(target)
    http_scheme = "https" if target_url.scheme in ("wss", "https") else "http"
    try:
        with _opener_without_proxy.open(
            f"{http_scheme}://{target_url.netloc}{CLIP_LIST_PATH}", timeout=_TIMEOUT_SECONDS
        ) as answer:
            clip_entries = json.loads(answer.read(_LARGEST_LIST_BYTES)).get("clips")
        clip_names = [entry["clip"] for entry in clip_entries]
    except (URLError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
    usable_names = [
        name for name in clip_names if isinstance(name, str) and 0 < len(name) <= _LONGEST_CLIP_NAME
    ]
    return usable_names[:_MAX_CLIP_COUNT]
