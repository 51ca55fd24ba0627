"""Makes the data of a player page from the runs of a tape."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.reporting.player.avatar_playback import ClientTrack, levels_of
from spatius_sim.reporting.player.player_json import MAX_WORDS, PageData, PageRow, as_values
from spatius_sim.reporting.timeline.build_timeline import lanes_of, learn_rate, list_lanes, scenario_start_ns
from spatius_sim.reporting.timeline.client_dialogue import words_for_call
from spatius_sim.reporting.timeline.event_labels import EventWords, words_for
from spatius_sim.reporting.timeline.timeline import Mark, MarkKind
from spatius_sim.story.join_turns import build_story
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
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, Failed, Interrupted, Motion, Ready
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest

MAX_EVENTS = 60_000
"""A page holds no more events: a browser stays quick with them."""
MOST_READ = 2 * MAX_EVENTS
"""So many events of a tape are read for a page. A client's request and its answer become one event there."""
MAX_EVENTS_OF_A_FAILURE = 2_000
MAX_SECONDS = 3600
"""A page holds no more than an hour."""
NO_RATES: Mapping[str, int] = MappingProxyType({})
HEAD_BYTES = 64
"""How many bytes of each frame a page shows."""
_GAP_NS = 500_000_000
"""The quiet between two runs on one clock."""
_LONGEST_QUIET_NS = 60_000_000_000
_MS_NS = 1_000_000


def build_player(
    traces: Iterable[Trace],
    title: str,
    notices: Iterable[str] = (),
    evidence: Collection[int] = (),
    *,
    sound: bool = True,
    goes_on: bool = False,
) -> dict[str, Any]:
    """Return the data of a player page, as values for JSON. `notices` are sentences that the page shows
    first. `evidence` are the numbers of the events of the first run that the page points at. `sound`:
    whether audio is put into the page, if the runs hold real speech. `goes_on`: whether the tape holds
    more than these runs."""
    page = PageData(notices=[harmless_line(notice) for notice in notices])
    for number, trace in enumerate(traces, 1):
        if page.full:
            break
        _add_run(page, trace, number)
    if goes_on and not page.full:
        page.add_end_notice(page.end_ns)
    if not page.rows:
        page.notices.append("This tape holds no events: there is nothing to play.")
    elif not page.payloads.total:
        page.notices.append("This tape holds no motion: the face stays still.")
    if page.rows and not page.spoken and not any(track.conversations for track in page.tracks.values()):
        page.notices.append("This tape holds no speech.")
    return as_values(page, harmless_line(title, MAX_WORDS), frozenset(evidence), sound=sound)


def build_failure(trace: Trace, evidence: Collection[int], ghosts: Iterable[Mark]) -> dict[str, Any]:
    """Return the data of a player that shows one failure, as values for JSON: the run from the scenario on,
    but without sound and without events far from the evidence. `evidence` are the numbers of the guilty
    events, and `ghosts` the marks of what never came, in seconds since the scenario began."""
    zero_ns = trace.events[0].at_ns if trace.header.subject == "client" else scenario_start_ns(trace)
    rates: dict[str, int] = {}
    for event in trace.events:
        if event.at_ns < zero_ns:
            learn_rate(event, rates)
    # What earlier scenarios left is no part of this one, unless it is evidence.
    shown = tuple(event for event in trace.events if event.at_ns >= zero_ns or event.seq in evidence)
    page = PageData(owners=_find_owners(trace))
    if shown:
        page.zero_ms = (zero_ns - shown[0].at_ns) / _MS_NS
        _add_run(page, replace(trace, events=shown), 1, rates)
    for ghost in ghosts:
        at = page.zero_ms + ghost.at * 1000
        page.rows.append(PageRow(at, ghost.source, ghost.target, ghost.kind, ghost.words))
    page.rows = _near_evidence(sorted(page.rows, key=lambda row: row.at), evidence)
    return as_values(page, "", evidence, sound=False)


def _find_owners(trace: Trace) -> dict[tuple[str, str], str]:
    """Return whose motion each request to Motion Server asks for, by connection and request id, so that the
    player says of each client what was sent for it. An empty mapping if no two clients are in the trace."""
    clients = {event.connection for event in trace.on_lane(Lane.DOWNSTREAM)}
    if trace.header.subject != "relay" or len(clients) < 2:
        return {}
    requests = build_story(trace).requests
    return {(one.connection, one.req_id): one.turn.client for one in requests if one.turn is not None}


def _near_evidence(rows: list[PageRow], evidence: Collection[int]) -> list[PageRow]:
    """Return the rows that the player of a failure shows, at most MAX_EVENTS_OF_A_FAILURE: first the evidence
    and the ghosts (what was owed and never came), then the rows that are nearest to the evidence."""
    places = [place for place, row in enumerate(rows) if row.seq in evidence] or [0]
    if len(rows) <= MAX_EVENTS_OF_A_FAILURE:
        return rows

    def rank(place: int) -> tuple[bool, int]:
        """Return how far a row is from what must be seen; the least is kept first."""
        next_place = bisect_left(places, place)
        distance = min(abs(place - near) for near in places[max(0, next_place - 1) : next_place + 1])
        return rows[place].kind is not MarkKind.GHOST, distance

    kept_places = sorted(range(len(rows)), key=rank)[:MAX_EVENTS_OF_A_FAILURE]
    return [rows[place] for place in sorted(kept_places)]


def _add_run(page: PageData, trace: Trace, number: int, rates: Mapping[str, int] = NO_RATES) -> None:
    """Add one run of the tape to the data of the player page, after the runs that the page has already.
    `rates` are the sample rates in Hz that the tape has shown before this run, by connection."""
    if not trace.events:
        return
    first_ns = trace.events[0].at_ns
    page.first_ns = first_ns if not page.rows else page.first_ns
    # Runs may overlap, or have clocks of their own. On the page they follow each other, at most a minute
    # apart.
    free_from_ns = page.end_ns + _GAP_NS if page.rows else 0
    start_ns = first_ns - page.first_ns
    if not free_from_ns <= start_ns <= free_from_ns + _LONGEST_QUIET_NS:
        start_ns = free_from_ns
    of_client = trace.header.subject == "client"
    scenario_offset_ns = 0 if of_client else scenario_start_ns(trace) - first_ns
    _Run(page, trace, start_ns, f"run {number}", rates).read()
    page.runs.append(
        {
            "at": round(start_ns / _MS_NS),
            "begins": round((start_ns + scenario_offset_ns) / _MS_NS, 2),
            "name": f"run {number}",
            "words": harmless_line(
                f"{trace.header.subject}, seed {trace.header.seed}: {trace.header.plan or 'no plan'}"
            ),
        }
    )


class _Run:
    """Reads the events of one run onto a page."""

    def __init__(
        self, page: PageData, trace: Trace, start_ns: int, name: str, rates: Mapping[str, int]
    ) -> None:
        """Begin to draw a run onto `page` at `start_ns` of the page's clock; `rates` are the sample rates in
        Hz that are known already, by connection."""
        self._page, self._trace, self._start_ns, self._name = page, trace, start_ns, name
        self._first_ns = trace.events[0].at_ns
        self._of_client = trace.header.subject == "client"
        self._lanes = ["kit", "client"] if self._of_client else list_lanes(trace)
        self._lanes_known = "kit" if "kit" in self._lanes else "relay"
        self._rates = dict(rates)
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
        """Build the player page from every event of this run of the tape, play every client to its end, and
        note when the run ended. If the page is full, stop, and say so in a notice on the page."""
        page = self._page
        for event in self._trace.events:
            at_ns = self._time_of(event)
            if len(page.rows) >= MAX_EVENTS or at_ns > MAX_SECONDS * 1_000_000_000:
                page.full = True
                page.add_end_notice(at_ns)
                break
            page.end_ns = max(page.end_ns, at_ns)
            self._add_event(event, at_ns)
        for name in self._clients:
            page.end_ns = max(page.end_ns, page.tracks[name].play_out())

    def _time_of(self, event: Event) -> int:
        """Return when an event of the tape happened, in nanoseconds on the clock of the player page. In a run
        with a client under test, the time that the kit told the client counts."""
        if self._of_client:
            return self._start_ns + self._elapsed_ms * _MS_NS
        return self._start_ns + event.at_ns - self._first_ns

    def _find_track(self, name: str, at_ns: int) -> ClientTrack:
        """Return the track of a client on the player page (what its avatar plays and when), advanced to
        `at_ns`. The first call for a client in a run begins the track with a new decoder."""
        track = self._page.tracks.setdefault(name, ClientTrack(self._page.payloads))
        track.advance(at_ns)
        if name not in self._clients:
            self._clients.add(name)
            track.reset(self._rates.get(name) or max(self._rates.values(), default=0))
        return track

    def _add_event(self, event: Event, at_ns: int) -> None:
        """Add one event to the page, and let the faces do what follows from it."""
        learn_rate(event, self._rates)
        if isinstance(event.content, TurnStarted):
            self._latest_turn = self._turns[event.connection] = f"{self._name}, turn {event.content.turn + 1}"
        value = getattr(event.content, "value", None)
        if self._of_client:
            self._add_testee_message(event, value, at_ns)
            return
        row = self._row_of(event, at_ns)
        match event.lane, value:
            case Lane.UPSTREAM | Lane.EGRESS, MotionResponse() as motion if isinstance(
                raw := getattr(event.content, "raw", b""), bytes
            ):
                row.payload = self._page.payloads.add(raw, motion.keyframes)
                self._page.sent.append([row.at, row.payload, event.connection, motion.req_id])
                owner = self._page.owners.get((event.connection, motion.req_id), "")
                for name, track in self._page.tracks.items():
                    track.sent += owner in ("", name)
            case Lane.UPSTREAM, AudioInput(req_id=req_id, audio=audio):
                rate = self._rates.get(event.connection, 0)
                levels = levels_of(audio, rate) if rate else b""  # The samples of Ogg Opus cannot be read.
                self._page.spoken.append([row.at, levels, event.connection, req_id])
        self._page.rows.append(row)
        if event.lane is Lane.DOWNSTREAM and isinstance(event.content, Received | Sent):
            self._play_message(event, value, at_ns, row)
        if isinstance(event.content, KitStalled):
            self._page.late.append([round(row.at - event.content.seconds * 1000, 2), round(row.at, 2)])
        if isinstance(event.content, Injected | KitStalled):
            for track in self._page.tracks.values():
                track.advance(at_ns)
                track.blame(row.words)

    def _play_message(self, event: Event, value: object, at_ns: int, row: PageRow) -> None:
        """Let the avatar of a relay's client on the player page play a message of the relay: give the audio
        and the motion in it to our decoder, which stands for the client's. `value` is the message as it was
        read, and `row` is its row on the page."""
        name = event.connection
        match value:
            case Ready(output_sample_rate=rate) if rate:
                self._rates[name] = rate
                self._find_track(name, at_ns).reset(rate)
            case Audio(pcm, last, turn_id):
                self._ids[name, turn_id] = self._find_track(name, at_ns).feed_audio(pcm, last)
            case Motion((), last=True):
                pass  # An empty list with the end mark only ends the motion (ASSUMED).
            case Motion(payloads, _, turn_id):
                for raw in payloads:
                    decoded = read_upstream(raw)
                    if isinstance(decoded, MotionResponse):
                        row.payload = self._page.payloads.add(raw, decoded.keyframes)
                conversation_id = self._ids.get((name, turn_id), "")
                self._add_decoder_rows(
                    row, name, self._find_track(name, at_ns).feed_motion(payloads, conversation_id)
                )
            case Failed(message):
                self._add_decoder_rows(
                    row, name, self._find_track(name, at_ns).enter_audio_only(f"the relay said: {message}")
                )
            case Interrupted():
                self._find_track(name, at_ns).control("interrupt")

    def _add_decoder_rows(self, row: PageRow, name: str, words: list[str]) -> None:
        """Add a row to the player page for each thing that the client's decoder did with a message (`words`);
        we play the client with a decoder of our own. Add no row if the tape holds the events of the client's
        own decoder."""
        if name in self._taped_decoders:
            return
        for word in words:
            kind = MarkKind.MESSAGE if word.startswith("taken") else MarkKind.FAULT
            payload = row.payload
            self._page.rows.append(
                PageRow(row.at, name, "", kind, f"the client's decoder: {word}", name, row.turn, payload)
            )

    def _add_testee_message(self, event: Event, value: object, at_ns: int) -> None:
        """Add a message between the kit and a testee (the program that connects a client under test to the
        kit) to the player page: a request, or an answer. Our own decoder gets the same calls as the client
        under test, so that the page can show a face."""
        if not isinstance(value, TesteeRequest | TesteeAnswer):
            return
        described = words_for_call(value)
        source, target = ("kit", "client") if isinstance(value, TesteeRequest) else ("client", "kit")
        text = _short(described.words)
        row = PageRow(at_ns / _MS_NS, source, target, described.kind, text, "client", self._name)
        row.seq = event.seq
        self._fill_frame(row, event)
        self._page.rows.append(row)
        if not isinstance(value, TesteeRequest):
            return
        track = self._find_track("client", at_ns)
        match value.do:
            case "reset":
                track.reset(value.sample_rate, value.mode)
            case "yieldAudioData":
                track.feed_audio(value.audio, value.end)
            case "yieldFramesData":
                for raw in value.frames or ():
                    decoded = read_upstream(raw)
                    if isinstance(decoded, MotionResponse):
                        row.payload = self._page.payloads.add(raw, decoded.keyframes)
                        self._page.sent.append([row.at, row.payload, "client", decoded.req_id])
                self._add_decoder_rows(row, "client", track.feed_motion(value.frames, value.conversation_id))
            case "interrupt" | "pause" | "resume":
                track.control(value.do)
            case "advance":
                self._elapsed_ms += max(0, value.ms)

    def _row_of(self, event: Event, at_ns: int) -> PageRow:
        """Build the row of the player page for an event: its words, the lane from which its arrow starts
        (`source`), and the lane at which the arrow ends (`target`). The lanes are the clients, the relay and
        Motion Server."""
        words = words_for(event) or EventWords(MarkKind.KIT, _describe_player_event(event))
        near, far = lanes_of(event, self._lanes, self._lanes_known)
        source, target = (far, near) if words.upward is False else (near, far)
        row = PageRow(
            at_ns / _MS_NS,
            source,
            "" if words.upward is None else target,
            words.kind,
            _short(words.words),
            event.connection,
            self._turn_of(event),
            seq=event.seq,
        )
        self._fill_frame(row, event)
        return row

    def _fill_frame(self, row: PageRow, event: Event) -> None:
        """Write the size and the first bytes of an event's frame into the event's row of the player page."""
        raw = getattr(event.content, "raw", b"")
        if isinstance(event.content, SecretKnown) or not raw:
            return
        row.size = len(raw)
        head = raw[:HEAD_BYTES]
        row.head = head.encode(errors="replace")[:HEAD_BYTES] if isinstance(head, str) else bytes(head)

    def _turn_of(self, event: Event) -> str:
        """Return the turn to which an event on the page belongs; "" if that is not known."""
        if event.connection in self._turns:
            return self._turns[event.connection]
        return self._latest_turn if len(self._turns) < 2 else ""


def _short(words: str) -> str:
    """Return these words in one line of at most MAX_WORDS characters, safe to show."""
    return harmless_line(words, MAX_WORDS)


def _describe_player_event(event: Event) -> str:
    """Describe an event in words for its row on the player page: a few kinds of decoder events have words of
    their own; for any other, return the name of the kind."""
    words_by_kind = {
        "ConversationStarted": "a conversation begins",
        "MotionTaken": f"takes {getattr(event.content, 'keyframes', 0)} keyframes",
        "StallChanged": "the audio stalls"
        if getattr(event.content, "stalled", False)
        else "the audio goes on",
    }
    kind = type(event.content).__name__
    return words_by_kind.get(kind, kind)
