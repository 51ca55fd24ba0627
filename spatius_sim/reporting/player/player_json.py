"""Keeps what a player page shows while it is collected, and makes values for JSON of it."""

from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.reporting.player.avatar_playback import ClientTrack, levels_of
from spatius_sim.reporting.player.curves import CHANNELS, RANGES, Payloads
from spatius_sim.reporting.timeline.timeline import MarkKind

MAX_SOUND_BYTES = 24 * 1_048_576
MAX_WORDS = 200
_MS_NS = 1_000_000
_KEYFRAME_MS = 1000 // KEYFRAMES_PER_SECOND
_KINDS = list(MarkKind)


@dataclass(slots=True)
class PageRow:
    """One event on the page: `at` in milliseconds; lanes and words as texts; `payload` is -1 if there is
    none. `seq` is the number of the event in its trace, -1 if it stands in none."""

    at: float
    source: str
    target: str
    kind: MarkKind
    words: str
    connection: str = ""
    turn: str = ""
    payload: int = -1
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
    sent: list[list[Any]] = field(default_factory=list)
    """What Motion Server's face shows: milliseconds, payload, client, request."""
    owners: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Whose motion each request asks for, by connection and request id, as far as that is known."""
    spoken: list[list[Any]] = field(default_factory=list)
    """The audio that came to Motion Server: milliseconds, levels, request."""
    late: list[list[float]] = field(default_factory=list)
    """When the kit itself was late: from and until, in milliseconds."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    lanes: list[str] = field(default_factory=list)
    first_ns: int = 0
    end_ns: int = 0
    zero_ms: float = 0.0
    """The moment that the page calls 0 s."""
    full: bool = False

    def add_end_notice(self, at_ns: int) -> None:
        """Add a notice to the data of the player page: the tape goes on after `at_ns` of the page's clock,
        but the page does not show more."""
        self.notices.append(
            f"The tape holds more than a page can show: the page ends at event {len(self.rows):,}, "
            f"{at_ns / 1e9:.0f} s. `spatius-sim tape cut` makes a shorter tape."
        )


def as_values(page: PageData, title: str, guilty: Collection[int], *, sound: bool) -> dict[str, Any]:
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
    rows = sorted(page.rows, key=lambda row: row.at)
    server = _time_payloads(page.sent, page.payloads)
    served = max(
        (begin + page.payloads.counts[payload] * _KEYFRAME_MS for begin, payload, *_ in server), default=0
    )
    heads: dict[bytes, int] = {}
    events = {
        "at": [round(row.at, 2) for row in rows],
        "source": [names.index(row.source) for row in rows],
        "target": [names.index(row.target) if row.target else -1 for row in rows],
        "kind": [_KINDS.index(row.kind) for row in rows],
        "words": [number(row.words) for row in rows],
        "connection": [number(harmless_line(row.connection, MAX_WORDS)) for row in rows],
        "turn": [number(row.turn) for row in rows],
        "payload": [row.payload for row in rows],
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
        "turns": _time_turns(page),
        "late": page.late,
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
        "spoken": _time_audio(page.spoken),
        "clients": _client_values(page, sound),
        "texts": list(texts),
    }


def _time_turns(page: PageData) -> list[list[Any]]:
    """Return a value for the JSON of the player page: for each request its short id, and the milliseconds at
    which its first audio and its first motion came (-1 if no motion came)."""
    turns: dict[tuple[str, str], list[Any]] = {}
    for at, _, connection, req_id in page.spoken:
        turns.setdefault((connection, req_id), [_shorten(req_id), round(at, 1), -1])
    for at, _, connection, req_id in page.sent:
        turn = turns.get((connection, req_id))
        if turn is not None and turn[2] < 0:
            turn[2] = round(at, 1)
    return list(turns.values())


def _time_payloads(sent: list[list[Any]], payloads: Payloads) -> list[list[Any]]:
    """Return when the player page shows each payload: when it was sent, or after the payload before it of the
    same request, if that is later. A row holds this time in milliseconds, the payload's number, the
    connection and the request."""
    ends: dict[tuple[str, str], float] = {}
    shown = []
    for at, payload, connection, req_id in sent:
        begin = max(at, ends.get((connection, req_id), 0.0))
        ends[connection, req_id] = begin + payloads.counts[payload] * 1000 / KEYFRAMES_PER_SECOND
        shown.append([round(begin, 1), payload, _shorten(connection), _shorten(req_id)])
    return sorted(shown, key=lambda row: float(row[0]))


def _time_audio(spoken: list[list[Any]]) -> list[list[Any]]:
    """Return when each piece of the speech is heard on the player page, as rows [time in milliseconds,
    loudness]. A piece is heard when it was sent, or after the piece of the same request before it, if that
    ends later."""
    ends: dict[tuple[str, str], float] = {}
    heard = []
    for at, levels, connection, req_id in spoken:
        begin = max(at, ends.get((connection, req_id), 0.0))
        ends[connection, req_id] = begin + len(levels) * 1000 / KEYFRAMES_PER_SECOND
        if levels:
            heard.append([round(begin, 1), b64encode(levels).decode()])
    return sorted(heard, key=lambda row: float(row[0]))


def _client_values(page: PageData, sound: bool) -> list[dict[str, Any]]:
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
                "at": track.at,
                "keyframe": track.keyframe,
                "status": track.status,
                "cause": track.cause,
                "buffered": track.buffered,
                "heard": track.heard,
                "causes": [_shorten(cause) for cause in track.causes],
                "requests": [_shorten(req_id) for (_, req_id), owner in page.owners.items() if owner == name],
                "conversations": [
                    {
                        "at": one.start_ms,
                        "rate": one.rate,
                        "levels": b64encode(levels_of(bytes(one.pcm), one.rate)).decode(),
                        "seconds": round(len(one.pcm) / BYTES_PER_SAMPLE / one.rate, 3),
                        "pcm": b64encode(one.pcm).decode() if audible else "",
                    }
                    for one in track.conversations
                ],
            }
        )
    return values


def _shorten(words: str) -> str:
    """Return these words in one line of at most MAX_WORDS characters, safe to show."""
    return harmless_line(words, MAX_WORDS)
