"""Makes the data of a player page from the runs of a tape."""

from base64 import b64encode
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.reporting.harmless import one_line
from spatius_sim.reporting.player.curves import CHANNELS, RANGES, Payloads
from spatius_sim.reporting.player.shown import ClientTrack, levels_of
from spatius_sim.reporting.timeline.build_timeline import lanes_of, learn_rate, list_lanes
from spatius_sim.reporting.timeline.client_dialogue import words_for_call
from spatius_sim.reporting.timeline.event_labels import EventWords, words_for
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.trace.events import (
    Event,
    Injected,
    KitStalled,
    Lane,
    Received,
    SecretKnown,
    Sent,
    Trace,
    TurnStarted,
)
from spatius_sim.trace.reading import read_upstream
from spatius_sim.wires.events import Audio, Failed, Interrupted, Motion, Ready
from spatius_sim.wires.testee import TesteeAnswer, TesteeRequest

MAX_EVENTS = 60_000
"""A page holds no more events: a browser stays quick with them."""
MAX_SECONDS = 3600
"""A page holds no more than an hour."""
MAX_SOUND_BYTES = 24 * 1_048_576
MAX_WORDS = 200
HEAD_BYTES = 64
"""How many bytes of each frame a page shows."""
_FEW_FRAMES = 8_000
"""A page with more events keeps a shorter beginning of each frame of audio."""
_SHORT_HEAD_BYTES = 16
_GAP_NS = 500_000_000
"""The quiet between two runs on one clock."""
_LONGEST_QUIET_NS = 60_000_000_000
_MS_NS = 1_000_000
_KINDS = list(MarkKind)


@dataclass(slots=True)
class _Row:
    """One event on the page: `at` in milliseconds; lanes and words as texts; `payload` is -1 if there is
    none."""

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
class _Page:
    """What is collected for a page while the runs are read."""

    payloads: Payloads = field(default_factory=Payloads)
    rows: list[_Row] = field(default_factory=list)
    tracks: dict[str, ClientTrack] = field(default_factory=dict)
    """What each client shows, in all runs."""
    sent: list[list[Any]] = field(default_factory=list)
    """What Motion Server's face shows: milliseconds, payload, client, request."""
    spoken: list[list[Any]] = field(default_factory=list)
    """The audio that came to Motion Server: milliseconds, levels, request."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    lanes: list[str] = field(default_factory=list)
    first_ns: int = 0
    end_ns: int = 0
    full: bool = False


def build_player(
    traces: Iterable[Trace],
    title: str,
    notices: Iterable[str] = (),
    evidence: Collection[int] = (),
    *,
    sound: bool = True,
) -> dict[str, Any]:
    """Return the data of a page, as values for JSON. `notices` are sentences that the page says first.
    `evidence` are the numbers of the events of the first run that the page points at. `sound`: whether audio
    is put into the page, if the runs hold real speech."""
    page = _Page(notices=[one_line(notice) for notice in notices])
    guilty = frozenset(evidence)
    for number, trace in enumerate(traces, 1):
        if page.full:
            break
        _add_run(page, trace, number)
    if not page.rows:
        page.notices.append("This tape holds no events: there is nothing to play.")
    elif not page.payloads.total:
        page.notices.append("This tape holds no motion: the face stays still.")
    return _as_values(page, one_line(title, MAX_WORDS), guilty, sound)


def _add_run(page: _Page, trace: Trace, number: int) -> None:
    """Add one run; it begins after the run before has ended."""
    if not trace.events:
        return
    first_ns = trace.events[0].at_ns
    page.first_ns = first_ns if not page.rows else page.first_ns
    # Runs may overlap, or have clocks of their own: they stand in turn, after a quiet of at most a minute.
    earliest_ns = page.end_ns + _GAP_NS if page.rows else 0
    start_ns = first_ns - page.first_ns
    if not earliest_ns <= start_ns <= earliest_ns + _LONGEST_QUIET_NS:
        start_ns = earliest_ns
    run = _Run(page, trace, start_ns, f"run {number}")
    run.read()
    page.runs.append(
        {
            "at": round(start_ns / _MS_NS),
            "name": f"run {number}",
            "words": one_line(
                f"{trace.header.subject}, seed {trace.header.seed}: {trace.header.plan or 'no plan'}"
            ),
        }
    )


class _Run:
    """Reads the events of one run onto a page."""

    def __init__(self, page: _Page, trace: Trace, start_ns: int, name: str) -> None:
        self._page, self._trace, self._start_ns, self._name = page, trace, start_ns, name
        self._first_ns = trace.events[0].at_ns
        self._of_client = trace.header.subject == "client"
        self._lanes = ["kit", "client"] if self._of_client else list_lanes(trace)
        self._lanes_known = "kit" if "kit" in self._lanes else "relay"
        self._rates: dict[str, int] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._turns: dict[str, str] = {}
        self._clients: set[str] = set()
        self._latest_turn = ""
        self._elapsed_ms = 0
        self._taped_decoders = {event.connection for event in trace.on_lane(Lane.DECODER)}
        for lane in self._lanes:
            if lane not in page.lanes:
                page.lanes.append(lane)

    def read(self) -> None:
        """Add every event, play every client to its end, and keep when the run ended."""
        page = self._page
        for event in self._trace.events:
            at_ns = self._time_of(event)
            if len(page.rows) >= MAX_EVENTS or at_ns > MAX_SECONDS * 1_000_000_000:
                page.full = True
                page.notices.append(
                    f"The tape holds more than a page can show: the page ends at event {len(page.rows):,}, "
                    f"{at_ns / 1e9:.0f} s. `spatius-sim tape cut` makes a shorter tape."
                )
                break
            page.end_ns = max(page.end_ns, at_ns)
            self._add(event, at_ns)
        for name in self._clients:
            page.end_ns = max(page.end_ns, page.tracks[name].play_out())

    def _time_of(self, event: Event) -> int:
        """Return when an event happened on the page's clock, in nanoseconds. A client under test has a clock
        that the kit sets."""
        if self._of_client:
            return self._start_ns + self._elapsed_ms * _MS_NS
        return self._start_ns + event.at_ns - self._first_ns

    def _track(self, name: str, at_ns: int) -> ClientTrack:
        """Return the track of a client, played until now."""
        track = self._page.tracks.setdefault(name, ClientTrack(self._page.payloads))
        track.advance(at_ns)
        if name not in self._clients:
            self._clients.add(name)
            track.reset(self._rates.get(name) or max(self._rates.values(), default=0))
        return track

    def _add(self, event: Event, at_ns: int) -> None:
        """Add one event to the page, and let the faces do what follows from it."""
        learn_rate(event, self._rates)
        if isinstance(event.what, TurnStarted):
            self._latest_turn = self._turns[event.connection] = f"{self._name}, turn {event.what.turn + 1}"
        value = getattr(event.what, "value", None)
        if self._of_client:
            self._add_call(event, value, at_ns)
            return
        row = self._row_of(event, at_ns)
        match event.lane, value:
            case Lane.UPSTREAM | Lane.EGRESS, MotionResponse() as motion if isinstance(
                raw := getattr(event.what, "raw", b""), bytes
            ):
                row.payload = self._page.payloads.add(raw, motion.keyframes)
                self._page.sent.append([row.at, row.payload, event.connection, motion.req_id])
                for track in self._page.tracks.values():
                    track.sent += 1
            case Lane.UPSTREAM, AudioInput(req_id=req_id, audio=audio):
                rate = self._rates.get(event.connection, 0)
                levels = levels_of(audio, rate) if rate else b""  # The samples of Ogg Opus cannot be read.
                self._page.spoken.append([row.at, levels, event.connection, req_id])
        self._page.rows.append(row)
        if event.lane is Lane.DOWNSTREAM and isinstance(event.what, Received | Sent):
            self._play(event, value, at_ns, row)
        if isinstance(event.what, Injected | KitStalled):
            for track in self._page.tracks.values():
                track.advance(at_ns)
                track.blame(row.words)

    def _play(self, event: Event, value: object, at_ns: int, row: _Row) -> None:
        """Let the client do what it must with a message of its relay."""
        name = event.connection
        match value:
            case Ready(output_sample_rate=rate) if rate:
                self._rates[name] = rate
                self._track(name, at_ns).reset(rate)
            case Audio(pcm, last, turn_id):
                self._ids[name, turn_id] = self._track(name, at_ns).hear(pcm, last)
            case Motion((), True):
                pass  # An empty list with the end mark only ends the motion (ASSUMED).
            case Motion(payloads, _, turn_id):
                for raw in payloads:
                    decoded = read_upstream(raw)
                    if isinstance(decoded, MotionResponse):
                        row.payload = self._page.payloads.add(raw, decoded.keyframes)
                conversation_id = self._ids.get((name, turn_id), "")
                self._say_fate(row, name, self._track(name, at_ns).see(payloads, conversation_id))
            case Failed(message):
                self._say_fate(row, name, self._track(name, at_ns).fall_silent(f"the relay said: {message}"))
            case Interrupted():
                self._track(name, at_ns).control("interrupt")

    def _say_fate(self, row: _Row, name: str, words: list[str]) -> None:
        """Add what the decoder of a client did, unless the tape says it itself."""
        if name in self._taped_decoders:
            return
        for word in words:
            kind = MarkKind.MESSAGE if word.startswith("taken") else MarkKind.FAULT
            payload = row.payload
            self._page.rows.append(
                _Row(row.at, name, "", kind, f"the client's decoder: {word}", name, row.turn, payload)
            )

    def _add_call(self, event: Event, value: object, at_ns: int) -> None:
        """Add a call to a client under test, or its answer; our own decoder gets the same calls."""
        if not isinstance(value, TesteeRequest | TesteeAnswer):
            return
        words = words_for_call(value)
        source, target = ("kit", "client") if isinstance(value, TesteeRequest) else ("client", "kit")
        row = _Row(at_ns / _MS_NS, source, target, words.kind, _short(words.words), "client", self._name)
        row.seq = event.seq
        self._fill_frame(row, event, words)
        self._page.rows.append(row)
        if not isinstance(value, TesteeRequest):
            return
        track = self._track("client", at_ns)
        match value.do:
            case "reset":
                track.reset(value.sample_rate, value.mode)
            case "yieldAudioData":
                track.hear(value.audio, value.end)
            case "yieldFramesData":
                for raw in value.frames or ():
                    decoded = read_upstream(raw)
                    if isinstance(decoded, MotionResponse):
                        row.payload = self._page.payloads.add(raw, decoded.keyframes)
                        self._page.sent.append([row.at, row.payload, "client", decoded.req_id])
                self._say_fate(row, "client", track.see(value.frames, value.conversation_id))
            case "interrupt" | "pause" | "resume":
                track.control(value.do)
            case "advance":
                self._elapsed_ms += max(0, value.ms)

    def _row_of(self, event: Event, at_ns: int) -> _Row:
        """Return an event as a row of the page."""
        words = words_for(event) or EventWords(MarkKind.KIT, _name_of(event))
        near, far = lanes_of(event, self._lanes, self._lanes_known)
        source, target = (far, near) if words.upward is False else (near, far)
        row = _Row(
            at_ns / _MS_NS,
            source,
            "" if words.upward is None else target,
            words.kind,
            _short(words.words),
            event.connection,
            self._turn_of(event),
            seq=event.seq,
        )
        self._fill_frame(row, event, words)
        return row

    def _fill_frame(self, row: _Row, event: Event, words: EventWords) -> None:
        """Write the size and the first bytes of a frame into its row."""
        raw = getattr(event.what, "raw", b"")
        if isinstance(event.what, SecretKnown) or not raw:
            return
        row.size = len(raw)
        most = (
            HEAD_BYTES
            if words.kind is not MarkKind.AUDIO or len(self._page.rows) < _FEW_FRAMES
            else (_SHORT_HEAD_BYTES)
        )
        head = raw[:most]
        row.head = head.encode(errors="replace")[:most] if isinstance(head, str) else bytes(head)

    def _turn_of(self, event: Event) -> str:
        """Return the turn to which an event belongs, as far as it is known."""
        if event.connection in self._turns:
            return self._turns[event.connection]
        return self._latest_turn if len(self._turns) < 2 else ""


def _short(words: str) -> str:
    """Return harmless words of at most MAX_WORDS characters."""
    return one_line(words, MAX_WORDS)


def _name_of(event: Event) -> str:
    """Return what an event without words of its own is."""
    named = {
        "ConversationStarted": "a conversation begins",
        "MotionTaken": f"takes {getattr(event.what, 'keyframes', 0)} keyframes",
        "StallChanged": "the audio stalls" if getattr(event.what, "stalled", False) else "the audio goes on",
    }
    name = type(event.what).__name__
    return named.get(name, name)


def _as_values(page: _Page, title: str, guilty: Collection[int], sound: bool) -> dict[str, Any]:
    """Return all that was collected as values for JSON."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    names = page.lanes
    for row in page.rows:
        for lane in (row.source, row.target):
            if lane and lane not in names:
                names.append(lane)
    rows = sorted(page.rows, key=lambda row: row.at)
    server = _queue(page.sent, page.payloads)
    served = max((begin + page.payloads.counts[payload] * 40 for begin, payload, *_ in server), default=0)
    heads: dict[bytes, int] = {}
    events = {
        "at": [round(row.at, 2) for row in rows],
        "source": [names.index(row.source) for row in rows],
        "target": [names.index(row.target) if row.target else -1 for row in rows],
        "kind": [_KINDS.index(row.kind) for row in rows],
        "words": [number(row.words) for row in rows],
        "connection": [number(one_line(row.connection, MAX_WORDS)) for row in rows],
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
        "lanes": [one_line(name, MAX_WORDS) for name in names],
        "kinds": [str(kind) for kind in _KINDS],
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
        "spoken": _queue_audio(page.spoken),
        "clients": _client_values(page, sound),
        "texts": list(texts),
    }


def _queue(sent: list[list[Any]], payloads: Payloads) -> list[list[Any]]:
    """Return when each payload is shown if it is shown as it was sent: at once, or after the payload before
    of its request."""
    ends: dict[tuple[str, str], float] = {}
    shown = []
    for at, payload, connection, req_id in sent:
        begin = max(at, ends.get((connection, req_id), 0.0))
        ends[connection, req_id] = begin + payloads.counts[payload] * 1000 / KEYFRAMES_PER_SECOND
        shown.append([round(begin, 1), payload, _short(connection), _short(req_id)])
    return sorted(shown, key=lambda one: float(one[0]))


def _queue_audio(spoken: list[list[Any]]) -> list[list[Any]]:
    """Return each piece of audio with when it is heard if it is played as it came."""
    ends: dict[tuple[str, str], float] = {}
    heard = []
    for at, levels, connection, req_id in spoken:
        begin = max(at, ends.get((connection, req_id), 0.0))
        ends[connection, req_id] = begin + len(levels) * 1000 / KEYFRAMES_PER_SECOND
        if levels:
            heard.append([round(begin, 1), b64encode(levels).decode()])
    return sorted(heard, key=lambda one: float(one[0]))


def _client_values(page: _Page, sound: bool) -> list[dict[str, Any]]:
    """Return what each client showed and heard."""
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
                "name": _short(name),
                "lane": page.lanes.index(name) if name in page.lanes else 0,
                "at": track.at,
                "keyframe": track.keyframe,
                "status": track.status,
                "cause": track.cause,
                "buffered": track.buffered,
                "heard": track.heard,
                "causes": [_short(cause) for cause in track.causes],
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
