"""Makes the data of a player page from the runs of a tape."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.reporting.player.avatar_playback import ClientTrack
from spatius_sim.reporting.player.curves import loudness_levels
from spatius_sim.reporting.player.player_data_to_json import MAX_WORDS, PageData, PageRow, make_page_values
from spatius_sim.reporting.timeline.build_timeline import (
    find_event_lanes,
    find_scenario_start_ns,
    list_lanes,
    note_sample_rate,
)
from spatius_sim.reporting.timeline.client_dialogue import label_call
from spatius_sim.reporting.timeline.event_labels import EventLabel, label_event
from spatius_sim.reporting.timeline.timeline import Mark, MarkKind
from spatius_sim.story.build_story import build_story
from spatius_sim.story.frames_and_closes_at_server import is_kit_client_of_server
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
_NO_RATES: Mapping[str, int] = MappingProxyType({})
_MAX_HEAD_BYTES = 64
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
    has_more_runs: bool = False,
) -> dict[str, Any]:
    """Return the data of a player page that shows these runs, as values for JSON. `notices` are sentences at
    the top of the page. `evidence` are the numbers of those events of the first run that the page points at.
    `sound`: whether the page may hold audio. `has_more_runs`: whether the tape goes on after these runs."""
    page = PageData(notices=[harmless_line(notice) for notice in notices])
    for run_number, trace in enumerate(traces, 1):
        if page.is_full:
            break
        _add_run(page, trace, run_number)
    if has_more_runs and not page.is_full:
        _add_end_notice(page, page.end_ns)
    if not page.rows:
        page.notices.append("This tape holds no events: there is nothing to play.")
    elif not page.payloads.total:
        page.notices.append("This tape holds no motion: the face stays still.")
    if page.rows and not page.spoken_audio and not any(track.conversations for track in page.tracks.values()):
        page.notices.append("This tape holds no speech.")
    return make_page_values(page, harmless_line(title, MAX_WORDS), frozenset(evidence), sound=sound)


def build_failure(trace: Trace, evidence: Collection[int], missing: Iterable[Mark]) -> dict[str, Any]:
    """Return the data of a player that shows one failure, as values for JSON. It shows the run from the
    scenario on, without sound, and without events that are far from the evidence. `evidence` are the numbers
    of the events that show the failure. `missing` are marks of messages that never came; their times are in
    seconds since the scenario began."""
    zero_ns = trace.events[0].at_ns if trace.header.subject == "client" else find_scenario_start_ns(trace)
    rate_by_connection: dict[str, int] = {}
    for event in trace.events:
        if event.at_ns < zero_ns:
            note_sample_rate(event, rate_by_connection)
    # Leave out late events of earlier scenarios, unless they are evidence.
    shown_events = tuple(event for event in trace.events if event.at_ns >= zero_ns or event.seq in evidence)
    page = PageData(client_by_request=_find_client_by_request(trace))
    if shown_events:
        page.zero_ms = (zero_ns - shown_events[0].at_ns) / _MS_NS
        _add_run(page, replace(trace, events=shown_events), 1, rate_by_connection)
    for mark in missing:
        at_ms = page.zero_ms + mark.at * 1000
        page.rows.append(PageRow(at_ms, mark.source, mark.target, mark.kind, mark.words))
    page.rows = _keep_rows_near_evidence(sorted(page.rows, key=lambda row: row.at_ms), evidence)
    return make_page_values(page, "", evidence, sound=False)


def _find_client_by_request(trace: Trace) -> dict[tuple[str, str], str]:
    """Return a mapping from each request to Motion Server (connection and request id) to the client that its
    motion is for. It is empty if the trace is not of a relay, or has fewer than two clients."""
    client_connections = {event.connection for event in trace.on_lane(Lane.DOWNSTREAM)}
    if trace.header.subject != "relay" or len(client_connections) < 2:
        return {}
    requests = build_story(trace).requests
    return {
        (request.connection, request.req_id): request.turn.client
        for request in requests
        if request.turn is not None
    }


def _keep_rows_near_evidence(rows: list[PageRow], evidence: Collection[int]) -> list[PageRow]:
    """Return the rows that the player data of a failure keep of its run, in the same order, at most
    MAX_EVENTS_OF_A_FAILURE. Messages that never came (GHOST) are kept first, then the rows nearest to the
    evidence."""
    evidence_places = [place for place, row in enumerate(rows) if row.seq in evidence] or [0]
    if len(rows) <= MAX_EVENTS_OF_A_FAILURE:
        return rows

    def rank_row(place: int) -> tuple[bool, int]:
        """Return the rank of the row number `place`, if a run has more rows than its player data may keep:
        the rows of least rank are kept. Messages that never came rank before all others, and among others a
        row that is nearer to the evidence ranks before one that is farther away."""
        next_index = bisect_left(evidence_places, place)
        neighbours = evidence_places[max(0, next_index - 1) : next_index + 1]
        distance = min(abs(place - neighbour) for neighbour in neighbours)
        return rows[place].kind is not MarkKind.GHOST, distance

    kept_places = sorted(range(len(rows)), key=rank_row)[:MAX_EVENTS_OF_A_FAILURE]
    return [rows[place] for place in sorted(kept_places)]


def _add_end_notice(page: PageData, at_ns: int) -> None:
    """Add a notice to the player page: it says that the page ends at `at_ns` (nanoseconds on the page's
    clock), although the tape goes on."""
    page.notices.append(
        f"The tape holds more than a page can show: the page ends at event {len(page.rows):,}, "
        f"{at_ns / 1e9:.0f} s. `spatius-sim tape cut` makes a shorter tape."
    )


def _add_run(
    page: PageData, trace: Trace, run_number: int, rate_by_connection: Mapping[str, int] = _NO_RATES
) -> None:
    """Add one run of the tape to the player page, after the runs that are there already. `rate_by_connection`
    holds the sample rates in Hz that were known before this run."""
    if not trace.events:
        return
    first_ns = trace.events[0].at_ns
    page.first_ns = first_ns if not page.rows else page.first_ns
    # Runs may overlap, or have clocks of their own. On the page they follow each other, at most a minute
    # apart.
    earliest_start_ns = page.end_ns + _GAP_NS if page.rows else 0
    start_ns = first_ns - page.first_ns
    if not earliest_start_ns <= start_ns <= earliest_start_ns + _LONGEST_QUIET_NS:
        start_ns = earliest_start_ns
    is_client_run = trace.header.subject == "client"
    scenario_offset_ns = 0 if is_client_run else find_scenario_start_ns(trace) - first_ns
    _RunReader(page, trace, start_ns, f"run {run_number}", rate_by_connection).read_onto_page()
    page.runs.append(
        {
            "at": round(start_ns / _MS_NS),
            "begins": round((start_ns + scenario_offset_ns) / _MS_NS, 2),
            "name": f"run {run_number}",
            "words": harmless_line(
                f"{trace.header.subject}, seed {trace.header.seed}: {trace.header.plan or 'no plan'}"
            ),
        }
    )


class _RunReader:
    """Reads the events of one run onto a page."""

    def __init__(
        self, page: PageData, trace: Trace, start_ns: int, name: str, rate_by_connection: Mapping[str, int]
    ) -> None:
        """Begin to draw the run `trace` onto `page`, at `start_ns` nanoseconds of the page's clock. `name` is
        the name of the run on the page. `rate_by_connection` holds the sample rates in Hz that are known
        already."""
        self._page, self._trace, self._start_ns, self._name = page, trace, start_ns, name
        self._first_ns = trace.events[0].at_ns
        self._is_client_run = trace.header.subject == "client"
        self._lanes = ["kit", "client"] if self._is_client_run else list_lanes(trace)
        self._lane_of_servers_client = "kit" if "kit" in self._lanes else "relay"
        self._kit_is_client = is_kit_client_of_server(trace)
        self._rate_by_connection = dict(rate_by_connection)
        self._conversation_id_by_turn: dict[tuple[str, str], str] = {}
        self._turn_by_connection: dict[str, str] = {}
        self._started_clients: set[str] = set()
        self._latest_turn = ""
        self._elapsed_ms = 0
        self._clients_with_taped_decoder = {event.connection for event in trace.on_lane(Lane.DECODER)}
        for lane in self._lanes:
            if lane not in page.lanes:
                page.lanes.append(lane)

    def read_onto_page(self) -> None:
        """Add every event of this run to the player page, let every client play the rest of its audio, and
        note when the run ended. If the page is full, stop, and add a notice to the page that says so."""
        page = self._page
        for event in self._trace.events:
            at_ns = self._page_time_ns(event)
            if len(page.rows) >= MAX_EVENTS or at_ns > MAX_SECONDS * 1_000_000_000:
                page.is_full = True
                _add_end_notice(page, at_ns)
                break
            page.end_ns = max(page.end_ns, at_ns)
            self._add_event(event, at_ns)
        for client in self._started_clients:
            page.end_ns = max(page.end_ns, page.tracks[client].play_to_end())

    def _page_time_ns(self, event: Event) -> int:
        """Return when an event happened, in nanoseconds on the clock of the player page. In the run of a
        client, this is the time that the kit told the client; in any other run, the event's own time."""
        if self._is_client_run:
            return self._start_ns + self._elapsed_ms * _MS_NS
        return self._start_ns + event.at_ns - self._first_ns

    def _find_track(self, client: str, at_ns: int) -> ClientTrack:
        """Return the track of a client on the player page (what its avatar shows and when), played until
        `at_ns` (nanoseconds). The first call for a client in a run begins the track with a new decoder."""
        track = self._page.tracks.setdefault(client, ClientTrack(self._page.payloads))
        track.advance(at_ns)
        if client not in self._started_clients:
            self._started_clients.add(client)
            track.reset(
                self._rate_by_connection.get(client) or max(self._rate_by_connection.values(), default=0)
            )
        return track

    def _add_event(self, event: Event, at_ns: int) -> None:
        """Add one event to the page, and let the faces do what follows from it."""
        note_sample_rate(event, self._rate_by_connection)
        if isinstance(event.content, TurnStarted):
            self._latest_turn = self._turn_by_connection[event.connection] = (
                f"{self._name}, turn {event.content.turn + 1}"
            )
        value = getattr(event.content, "value", None)
        if self._is_client_run:
            self._add_testee_message(event, value, at_ns)
            return
        row = self._make_row(event, at_ns)
        match event.lane, value:
            case Lane.UPSTREAM | Lane.EGRESS, MotionResponse() as motion if isinstance(
                raw := getattr(event.content, "raw", b""), bytes
            ):
                row.payload_number = self._page.payloads.add(raw, motion.keyframes)
                self._page.sent_payloads.append(
                    [row.at_ms, row.payload_number, event.connection, motion.req_id]
                )
                owner = self._page.client_by_request.get((event.connection, motion.req_id), "")
                for name, track in self._page.tracks.items():
                    track.sent_payload_count += owner in ("", name)
            case Lane.UPSTREAM, AudioInput(req_id=req_id, audio=audio):
                rate = self._rate_by_connection.get(event.connection, 0)
                # The samples of Ogg Opus cannot be read.
                levels = loudness_levels(audio, rate) if rate else b""
                self._page.spoken_audio.append([row.at_ms, levels, event.connection, req_id])
        self._page.rows.append(row)
        if event.lane is Lane.DOWNSTREAM and isinstance(event.content, Received | Sent):
            self._play_message(event, value, at_ns, row)
        if isinstance(event.content, KitStalled):
            self._page.late_periods.append(
                [round(row.at_ms - event.content.seconds * 1000, 2), round(row.at_ms, 2)]
            )
        if isinstance(event.content, Injected | KitStalled):
            for track in self._page.tracks.values():
                track.advance(at_ns)
                track.note_cause(row.words)

    def _play_message(self, event: Event, value: object, at_ns: int, row: PageRow) -> None:
        """Let the avatar of a relay's client do what a message of the relay demands, such as play its audio
        and motion. They go to our decoder, which stands for the client's own, in the client's track. `value`
        is the message as it was read, and `row` is its row on the page."""
        client = event.connection
        match value:
            case Ready(output_sample_rate=sample_rate) if sample_rate:
                self._rate_by_connection[client] = sample_rate
                self._find_track(client, at_ns).reset(sample_rate)
            case Audio(pcm, last, turn_id):
                conversation_id = self._find_track(client, at_ns).feed_audio(pcm, last)
                self._conversation_id_by_turn[client, turn_id] = conversation_id
            case Motion((), last=True):
                pass  # An empty list with the end mark only ends the motion (ASSUMED).
            case Motion(payloads, _, turn_id):
                for raw in payloads:
                    decoded = read_upstream(raw)
                    if isinstance(decoded, MotionResponse):
                        row.payload_number = self._page.payloads.add(raw, decoded.keyframes)
                conversation_id = self._conversation_id_by_turn.get((client, turn_id), "")
                texts = self._find_track(client, at_ns).feed_motion(payloads, conversation_id)
                self._add_decoder_rows(row, client, texts)
            case Failed(message):
                texts = self._find_track(client, at_ns).enter_audio_only(f"the relay said: {message}")
                self._add_decoder_rows(row, client, texts)
            case Interrupted():
                self._find_track(client, at_ns).control_playback("interrupt")

    def _add_decoder_rows(self, row: PageRow, client: str, texts: list[str]) -> None:
        """Add a row to the player page for each of these texts, which say what our decoder did with a
        message to this client: a text that begins with "taken" is no fault, any other is one. If the tape
        holds the events of the client's own decoder, add none."""
        if client in self._clients_with_taped_decoder:
            return
        for text in texts:
            kind = MarkKind.MESSAGE if text.startswith("taken") else MarkKind.FAULT
            words = f"the client's decoder: {text}"
            self._page.rows.append(
                PageRow(row.at_ms, client, "", kind, words, client, row.turn, row.payload_number)
            )

    def _add_testee_message(self, event: Event, value: object, at_ns: int) -> None:
        """Add to the player page a message between the kit and a testee (the program that connects a client
        under test to the kit): a request or an answer. Give a request to our own decoder too, so that the
        page can show a face."""
        if not isinstance(value, TesteeRequest | TesteeAnswer):
            return
        described = label_call(value)
        source, target = ("kit", "client") if isinstance(value, TesteeRequest) else ("client", "kit")
        text = _shorten(described.words)
        row = PageRow(at_ns / _MS_NS, source, target, described.kind, text, "client", self._name)
        row.seq = event.seq
        self._fill_in_frame(row, event)
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
                        row.payload_number = self._page.payloads.add(raw, decoded.keyframes)
                        self._page.sent_payloads.append(
                            [row.at_ms, row.payload_number, "client", decoded.req_id]
                        )
                self._add_decoder_rows(row, "client", track.feed_motion(value.frames, value.conversation_id))
            case "interrupt" | "pause" | "resume":
                track.control_playback(value.do)
            case "advance":
                self._elapsed_ms += max(0, value.ms)

    def _make_row(self, event: Event, at_ns: int) -> PageRow:
        """Return the row of the player page for an event. It holds the words for the event, and the lanes
        (such as a client, the relay or Motion Server) between which its arrow is drawn: towards Motion Server
        (`upward`) or away from it. An event without a direction has no second lane."""
        label = label_event(event, kit_is_client=self._kit_is_client) or EventLabel(
            MarkKind.KIT, _describe_player_event(event)
        )
        client_side, server_side = find_event_lanes(event, self._lanes, self._lane_of_servers_client)
        source, target = (server_side, client_side) if label.upward is False else (client_side, server_side)
        row = PageRow(
            at_ns / _MS_NS,
            source,
            "" if label.upward is None else target,
            label.kind,
            _shorten(label.words),
            event.connection,
            self._find_turn(event),
            seq=event.seq,
        )
        self._fill_in_frame(row, event)
        return row

    def _fill_in_frame(self, row: PageRow, event: Event) -> None:
        """Write into a row of the player page how large the frame of its event is, and its first bytes. Do
        nothing if the event has no frame, or may hold a secret."""
        raw_frame = getattr(event.content, "raw", b"")
        if isinstance(event.content, SecretKnown) or not raw_frame:
            return
        row.size = len(raw_frame)
        head = raw_frame[:_MAX_HEAD_BYTES]
        row.head = head.encode(errors="replace")[:_MAX_HEAD_BYTES] if isinstance(head, str) else bytes(head)

    def _find_turn(self, event: Event) -> str:
        """Return the turn to which an event on the page belongs; "" if that is not known."""
        if event.connection in self._turn_by_connection:
            return self._turn_by_connection[event.connection]
        return self._latest_turn if len(self._turn_by_connection) < 2 else ""


def _shorten(words: str) -> str:
    """Return these words in one line of at most MAX_WORDS characters, safe to show."""
    return harmless_line(words, MAX_WORDS)


def _describe_player_event(event: Event) -> str:
    """Return the words for an event in its row on the player page. For a few kinds of decoder events there
    are words; for any other event, return the name of its kind."""
    words_by_kind = {
        "ConversationStarted": "a conversation begins",
        "MotionTaken": f"takes {getattr(event.content, 'keyframes', 0)} keyframes",
        "StallChanged": "the audio stalls"
        if getattr(event.content, "stalled", False)
        else "the audio goes on",
    }
    kind = type(event.content).__name__
    return words_by_kind.get(kind, kind)
