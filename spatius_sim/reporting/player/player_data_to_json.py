"""Keeps what a player page shows while it is collected, and makes values for JSON of it."""

from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.reporting.player.avatar_playback import ClientTrack
from spatius_sim.reporting.player.curves import CHANNELS, RANGES, Payloads, loudness_levels
from spatius_sim.reporting.timeline.timeline import MarkKind

MAX_SOUND_BYTES = 24 * 1_048_576
MAX_WORDS = 200
_MS_NS = 1_000_000
_KEYFRAME_MS = 1000 // KEYFRAMES_PER_SECOND
_KINDS = list(MarkKind)


@dataclass(slots=True)
class PageRow:
    """One event on the page, at `at_ms` milliseconds; lanes and words as texts; `payload_number` is -1 if
    there is none. `seq` is the number of the event in its trace, -1 if it stands in none."""

    at_ms: float
    source: str
    target: str
    kind: MarkKind
    words: str
    connection: str = ""
    turn: str = ""
    payload_number: int = -1
    size: int = 0
    head: bytes = b""
    seq: int = -1


@dataclass(slots=True)
class PageData:
    """What is collected for a page while the runs are read."""

    payloads: Payloads = field(default_factory=Payloads)
    rows: list[PageRow] = field(default_factory=list)
    tracks: dict[str, ClientTrack] = field(default_factory=dict)
    """What each client shows, in all runs."""
    sent_payloads: list[list[Any]] = field(default_factory=list)
    """What Motion Server's face shows: milliseconds, number of the payload, connection, request id."""
    client_by_request: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Whose motion each request asks for, by connection and request id, as far as that is known."""
    spoken_audio: list[list[Any]] = field(default_factory=list)
    """The audio that came to Motion Server: milliseconds, loudness levels, connection, request id."""
    late_periods: list[list[float]] = field(default_factory=list)
    """When the kit itself was late: from and until, in milliseconds."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """The runs: in milliseconds, `at` is when a run starts, and `begins` when its scenario starts."""
    notices: list[str] = field(default_factory=list)
    lanes: list[str] = field(default_factory=list)
    first_ns: int = 0
    end_ns: int = 0
    zero_ms: float = 0.0
    """The moment that the page calls 0 s."""
    is_full: bool = False


def make_page_values(page: PageData, title: str, guilty: Collection[int], *, sound: bool) -> dict[str, Any]:
    """Return all that was collected for the page as values for JSON. `guilty` are the numbers of the events
    that are evidence; `sound`: whether the page may be heard."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    names = page.lanes
    for row in page.rows:
        for lane in (row.source, row.target):
            if lane and lane not in names:
                names.append(lane)
    rows = sorted(page.rows, key=lambda row: row.at_ms)
    server = _list_payload_times(page.sent_payloads, page.payloads)
    served = max(
        (begin + page.payloads.counts[payload] * _KEYFRAME_MS for begin, payload, *_ in server), default=0
    )
    heads: dict[bytes, int] = {}
    events = {
        "at": [round(row.at_ms, 2) for row in rows],
        "source": [names.index(row.source) for row in rows],
        "target": [names.index(row.target) if row.target else -1 for row in rows],
        "kind": [_KINDS.index(row.kind) for row in rows],
        "words": [number(row.words) for row in rows],
        "connection": [number(harmless_line(row.connection, MAX_WORDS)) for row in rows],
        "turn": [number(row.turn) for row in rows],
        "payload": [row.payload_number for row in rows],
        "size": [row.size for row in rows],
        "head": [heads.setdefault(row.head, len(heads)) for row in rows],
        "guilty": [index for index, row in enumerate(rows) if row.seq in guilty],
    }
    return {
        "version": 1,
        "title": title,
        "notices": page.notices,
        "end": round(max(page.end_ns / _MS_NS, served)) + 1 if rows else 0,
        "lanes": [harmless_line(name, MAX_WORDS) for name in names],
        "kinds": [str(kind) for kind in _KINDS],
        "zero": page.zero_ms,
        "now": 0,
        "turns": _list_turn_times(page),
        "late": page.late_periods,
        "runs": page.runs,
        "events": events,
        "heads": [b64encode(head).decode() for head in heads],
        "payloads": {
            "starts": page.payloads.starts,
            "counts": page.payloads.counts,
            "channels": CHANNELS,
            "ranges": RANGES,
            "keyframes": page.payloads.total,
            "curves": b64encode(page.payloads.curves()).decode(),
        },
        "server": server,
        "spoken": _list_audio_times(page.spoken_audio),
        "clients": _make_client_values(page, sound),
        "client": _find_concerned_client(page, guilty),
        "texts": list(texts),
    }


def _find_concerned_client(page: PageData, guilty: Collection[int]) -> int:
    """Return, for the JSON of the page, the number of the client with which the page begins: the client that
    should have received a missing message (GHOST), or else the one that an event of the evidence (`guilty`)
    came from or went to. Return 0, the first client, if there is no such client."""
    rows_of_missing = [row for row in page.rows if row.kind is MarkKind.GHOST]
    for row in (*rows_of_missing, *(row for row in page.rows if row.seq in guilty)):
        for place, name in enumerate(page.tracks):
            if name in (row.source, row.target, row.connection):
                return place
    return 0


def _list_turn_times(page: PageData) -> list[list[Any]]:
    """Return a row for each request that sent audio to Motion Server, for the JSON of the player page. A row
    holds the request's short id, and the milliseconds at which its first audio and its first motion came (-1
    if no motion came)."""
    row_by_request: dict[tuple[str, str], list[Any]] = {}
    for at_ms, _, connection, req_id in page.spoken_audio:
        row_by_request.setdefault((connection, req_id), [_shorten(req_id), round(at_ms, 1), -1])
    for at_ms, _, connection, req_id in page.sent_payloads:
        row = row_by_request.get((connection, req_id))
        if row is not None and row[2] < 0:
            row[2] = round(at_ms, 1)
    return list(row_by_request.values())


def _list_payload_times(sent_payloads: list[list[Any]], payloads: Payloads) -> list[list[Any]]:
    """Return rows for the JSON of the player page that say when Motion Server's face shows each payload of
    motion: when it was sent, but not before the earlier payloads of its request end. A row holds this time in
    milliseconds, the payload's number, the connection and the request."""
    end_by_request: dict[tuple[str, str], float] = {}
    rows = []
    for at_ms, payload_number, connection, req_id in sent_payloads:
        begin_ms = max(at_ms, end_by_request.get((connection, req_id), 0.0))
        end_by_request[connection, req_id] = (
            begin_ms + payloads.counts[payload_number] * 1000 / KEYFRAMES_PER_SECOND
        )
        rows.append([round(begin_ms, 1), payload_number, _shorten(connection), _shorten(req_id)])
    return sorted(rows, key=lambda row: float(row[0]))


def _list_audio_times(spoken_audio: list[list[Any]]) -> list[list[Any]]:
    """Return rows for the JSON of the player page that say when each piece of speech is heard: when it came,
    but not before the earlier pieces of its request end. A row holds this time in milliseconds and the
    loudness in base64. `spoken_audio` is that of PageData."""
    end_by_request: dict[tuple[str, str], float] = {}
    rows = []
    for at_ms, levels, connection, req_id in spoken_audio:
        begin_ms = max(at_ms, end_by_request.get((connection, req_id), 0.0))
        end_by_request[connection, req_id] = begin_ms + len(levels) * 1000 / KEYFRAMES_PER_SECOND
        if levels:
            rows.append([round(begin_ms, 1), b64encode(levels).decode()])
    return sorted(rows, key=lambda row: float(row[0]))


def _make_client_values(page: PageData, sound: bool) -> list[dict[str, Any]]:
    """Return for the page what each client showed and heard. If all sound is too long for a page, leave it
    out, and say so in a notice."""
    total = sum(
        len(conversation.pcm) for track in page.tracks.values() for conversation in track.conversations
    )
    audible = sound and total <= MAX_SOUND_BYTES
    if sound and not audible:
        page.notices.append("The sound of this tape is too long for a page, and is left out.")
    values = []
    for name, track in page.tracks.items():
        values.append(
            {
                "name": _shorten(name),
                "lane": page.lanes.index(name) if name in page.lanes else 0,
                "at": track.at_ms,
                "keyframe": track.keyframe,
                "status": track.status,
                "cause": track.cause_index,
                "buffered": track.buffered_ms,
                "heard": track.heard_window,
                "causes": [_shorten(cause) for cause in track.causes],
                "requests": [
                    _shorten(req_id) for (_, req_id), owner in page.client_by_request.items() if owner == name
                ],
                "conversations": [
                    {
                        "at": held.start_ms,
                        "rate": held.sample_rate,
                        "levels": b64encode(loudness_levels(bytes(held.pcm), held.sample_rate)).decode(),
                        "seconds": round(len(held.pcm) / BYTES_PER_SAMPLE / held.sample_rate, 3),
                        "pcm": b64encode(held.pcm).decode() if audible else "",
                    }
                    for held in track.conversations
                ],
            }
        )
    return values


def _shorten(words: str) -> str:
    """Return these words in one line of at most MAX_WORDS characters, safe to show."""
    return harmless_line(words, MAX_WORDS)
