"""One simulated turn, at the level of sizes and times: speech, relay, Motion Server and client in a row.

Nothing comes back against the stream but an interrupt, so each leg is played to its end before the next one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spatius_sim.model.network.link_capacity import Capacity
from spatius_sim.model.network.message_overhead import (
    AUDIO_UP_BYTES,
    KEYFRAME_BYTES,
    PAYLOAD_BYTES,
    count_audio_message_bytes,
    count_bytes_on_tcp,
    count_motion_message_bytes,
)
from spatius_sim.model.network.network_profile import DATA_CENTRE, REGIONS, NetworkProfile
from spatius_sim.model.network.tcp import MessageDelivery, Path, TcpFlow
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, segment_end
from spatius_sim.study.client_playback import Playback, find_needed_start_delay, play_turn
from spatius_sim.study.pipeline_choices import AudioPacing, Pipeline, Sessions, Sync

HANDSHAKE_TRIPS = 7
"""Round trips before a new session is confirmed: TCP, TLS 1.3 and the answer for the token, the same three
for the upgrade, and one for ServerConfirmSession."""

TOKEN_SECONDS = 0.05
"""How long the Console API takes for a token. ASSUMED."""

_LONGEST_SECONDS = 600.0
"""No trouble of a turn counts longer."""

_INTERRUPT_BYTES = 100
_MEGABITS_PER_BYTE = 8e-6
_LARGE_QUEUE = 1 << 30
_SECONDS_AFTER_SPEECH = 60
"""The network of a turn is drawn for twice the speech and for so many seconds more."""


class PlainFlow:
    """Sends messages over a path without TCP: capacity and delay alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free = self._read = 0.0

    def find_room_time(self, at: float, size: int) -> float:
        """Return when a message may be written to the path: at once."""
        return at

    def write(self, at: float, size: int) -> MessageDelivery:
        """Write a message of `size` bytes to the path at `at` seconds, and return when it arrives."""
        self._free = self._path.capacity.finish_time(max(at, self._free), 8 * size)
        self._read = max(self._read, self._free + self._path.one_way) + 8 * size / self._path.reads
        return MessageDelivery(at, self._read)


@dataclass(frozen=True, slots=True)
class Message:
    """A message for the client: when the relay has it, its bytes, and how far its audio or motion reaches."""

    at: float
    size: int
    audio_end: float = 0.0
    keyframes: int = 0


@dataclass(slots=True)
class SimulatedTurn:
    """What happened in one turn. Times are in seconds since its speech began to reach the relay."""

    number: int
    playback: Playback
    audio: list[tuple[float, float]]
    motion: list[tuple[float, int]]
    wait_for_audio: float
    wait_for_all: float
    interrupted_at: float = math.inf
    bytes_after: int = 0
    seconds_after: float = 0.0
    messages: list[Message] = field(default_factory=list)
    """What the relay had for the client, in this order."""
    samples: list[tuple[float, int, float]] = field(default_factory=list)
    """Time, queue in bytes and window in segments, if they were asked for."""
    capacity: Capacity | None = None

    @property
    def finished(self) -> bool:
        """Whether all audio arrived."""
        return self.audio[-1][0] < math.inf

    @property
    def trouble(self) -> float:
        """For how many seconds of the turn the face did not move together with the audio: the wait for the
        first motion, then all stalls and late keyframes. If the face never moves, it is the wait for audio
        and the whole speech. At most 600."""
        play = self.playback
        if play.first_motion == math.inf:
            speech_seconds = play.keyframes / KEYFRAMES_PER_SECOND
            wait_seconds = play.first_audio if play.first_audio < math.inf else _LONGEST_SECONDS
            return min(_LONGEST_SECONDS, wait_seconds + speech_seconds)
        late_seconds = sum(count for offset, count in play.offsets.items() if offset) / KEYFRAMES_PER_SECOND
        stalled_seconds = sum(length for begin, length in play.stalls if begin >= play.first_motion)
        return min(_LONGEST_SECONDS, play.first_motion + stalled_seconds + late_seconds)


@dataclass(frozen=True, slots=True)
class TurnNetwork:
    """The network of one simulated turn, and all else that is random about the turn. It depends on seed,
    network profile and turn number alone, so that every pipeline meets the same network."""

    down: Capacity
    up: Capacity
    round_trip: float
    region_trips: dict[str, float]
    interrupt_roll: float
    loss_seed: int

    @classmethod
    def draw(cls, profile: NetworkProfile, seed: int, number: int, seconds: float) -> "TurnNetwork":
        """Draw all that is random in simulated turn `number`, which has `seconds` of speech: the rates of its
        links, its round trips, and the numbers that decide about an interrupt and about losses. The same
        profile, seed and number always give the same network."""
        profile_number = int.from_bytes(profile.name.encode().ljust(8, b"\0"))
        rng = np.random.default_rng([seed & (2**63 - 1), profile_number, number])
        horizon_seconds = 2 * seconds + _SECONDS_AFTER_SPEECH
        return cls(
            profile.down.draw(rng, horizon_seconds),
            profile.up.draw(rng, horizon_seconds),
            profile.round_trip.draw(rng),
            {region: trip.draw(rng) for region, trip in REGIONS.items()},
            float(rng.random()),
            int(rng.integers(2**32)),
        )


def simulate_turn(
    pipeline: Pipeline, profile: NetworkProfile, seed: int, number: int, *, detailed: bool = False
) -> SimulatedTurn:
    """Simulate turn `number` of a pipeline over a network: what arrives at the client when, how the client
    plays it, and what still comes after an interrupt, if chance says that the user interrupts. `seed` and
    `number` decide everything that is random. `detailed`: also keep what a time-line shows."""
    turn_network = draw_turn_network(pipeline, profile, seed, number)
    speech = _find_speech_arrivals(pipeline)
    payloads = _find_motion_arrivals(pipeline, turn_network, speech, seed, number)
    flow = make_flow_to_client(pipeline, profile, turn_network)
    turn = SimulatedTurn(number, Playback(math.inf), [], [], math.inf, math.inf)
    if detailed:
        turn.capacity = turn_network.down
        if isinstance(flow, TcpFlow):
            flow.on_sample = lambda at, queue, window: turn.samples.append((at, queue, window))
    messages = sorted(
        [*_make_audio_messages(pipeline, speech), *_make_motion_messages(pipeline, payloads)],
        key=lambda message: message.at,
    )
    if pipeline.clients > 1:
        messages = _send_through_relay(messages, pipeline, turn_network.loss_seed)
    turn.messages = messages
    arrivals = [flow.write(message.at, message.size).arrived for message in messages]
    play_arrivals(turn, pipeline, arrivals)
    if turn_network.interrupt_roll < pipeline.interrupted_share and turn.playback.first_audio < math.inf:
        _simulate_interrupt(turn, pipeline, profile, turn_network, messages)
    return turn


def draw_turn_network(pipeline: Pipeline, profile: NetworkProfile, seed: int, number: int) -> TurnNetwork:
    """Draw at random the network of simulated turn `number`, as the network profile says. The same seed and
    number give the same network. If several clients share the link, return the share that one client gets."""
    turn_network = TurnNetwork.draw(profile, seed, number, pipeline.seconds)
    shares = pipeline.clients_on_link
    return (
        turn_network
        if shares == 1
        else replace(turn_network, down=turn_network.down.share(shares), up=turn_network.up.share(shares))
    )


def _find_speech_arrivals(pipeline: Pipeline) -> list[tuple[float, float]]:
    """Return when each chunk of a turn's speech arrives at the relay, in seconds, and how many seconds of
    speech have arrived by then. `pipeline.speech_pace` is the speed of the speech (2: twice as fast as real
    time); if it is 0, all chunks arrive at once."""
    # 1e-9: a rounding error must not make one more chunk.
    chunk_count = math.ceil(pipeline.seconds / pipeline.speech_chunk - 1e-9)
    seconds_between = pipeline.speech_chunk / pipeline.speech_pace if pipeline.speech_pace else 0.0
    return [
        (index * seconds_between, min(pipeline.seconds, (index + 1) * pipeline.speech_chunk))
        for index in range(chunk_count)
    ]


def _make_audio_messages(pipeline: Pipeline, speech_arrivals: list[tuple[float, float]]) -> list[Message]:
    """Return the messages of audio that the relay sends to its client in a turn. Each holds `audio_chunk`
    seconds; the last may hold less. A message is sent when its speech has arrived; paced audio is sent at
    most `audio_lead` seconds earlier than playback in real time needs it.

    `speech_arrivals` holds when each chunk arrived at the relay, and how many seconds of speech had arrived
    by then."""
    bytes_per_second = pipeline.sample_rate * BYTES_PER_SAMPLE
    messages: list[Message] = []
    sent_seconds = 0.0
    for index, (at, arrived_seconds) in enumerate(speech_arrivals):
        is_last = index == len(speech_arrivals) - 1
        while arrived_seconds - sent_seconds >= pipeline.audio_chunk - 1e-9 or (
            is_last and arrived_seconds > sent_seconds + 1e-9
        ):
            chunk_end = min(arrived_seconds, sent_seconds + pipeline.audio_chunk)
            leaves_at = at
            if pipeline.audio is AudioPacing.PACED:
                leaves_at = max(at, sent_seconds - pipeline.audio_lead)
            size = round((chunk_end - sent_seconds) * bytes_per_second)
            messages.append(
                Message(
                    leaves_at, count_bytes_on_tcp(count_audio_message_bytes(pipeline.wire, size)), chunk_end
                )
            )
            sent_seconds = chunk_end
    return messages


def _find_motion_arrivals(
    pipeline: Pipeline, turn_network: TurnNetwork, speech: list[tuple[float, float]], seed: int, number: int
) -> list[tuple[float, int]]:
    """Return when each payload of motion reaches the relay, and how many keyframes have arrived with it:
    the audio of the simulated turn goes up to Motion Server, which answers at its pace."""
    trip = turn_network.region_trips[pipeline.region]
    opened = HANDSHAKE_TRIPS * trip + TOKEN_SECONDS if pipeline.sessions is Sessions.PER_TURN else 0.0
    path = Path(DATA_CENTRE.draw(_NO_DICE, 600.0), trip / 2, trip / 2, _LARGE_QUEUE, 0.0, _LARGE_QUEUE)
    make_flow: Callable[[Path], TcpFlow | PlainFlow] = TcpFlow if pipeline.tcp else PlainFlow
    up, down = make_flow(path), make_flow(path)
    per_second = pipeline.sample_rate * BYTES_PER_SAMPLE
    total = math.floor(pipeline.seconds * KEYFRAMES_PER_SECOND + 1e-9)
    payloads: list[tuple[float, int]] = []
    segment, done, sent, began = 0, 0, 0.0, math.inf
    for index, (at, end) in enumerate(speech):
        size = count_bytes_on_tcp(AUDIO_UP_BYTES + round((end - sent) * per_second), masked=True)
        sent = end
        heard = up.write(max(at, opened), size).arrived
        began = min(began, heard)
        is_last = index == len(speech) - 1
        # A segment is complete when a sample beyond its end has arrived, or the end mark.
        while done < total and (is_last or segment_end(segment) / KEYFRAMES_PER_SECOND < end - 1e-9):
            done = min(total, segment_end(segment))
            segment += 1
            early = began + done / KEYFRAMES_PER_SECOND - heard
            leaves = heard + pipeline.pace.delay_seconds(seed, number, 1, segment, early)
            keyframes = done - (payloads[-1][1] if payloads else 0)
            raw = count_bytes_on_tcp(PAYLOAD_BYTES + keyframes * KEYFRAME_BYTES)
            # Responses leave in order: a late one keeps back what follows.
            leaves = max(leaves, payloads[-1][0] - trip / 2) if payloads else leaves
            payloads.append((down.write(leaves, raw).arrived, done))
    return payloads


def _make_motion_messages(pipeline: Pipeline, payload_arrivals: list[tuple[float, int]]) -> list[Message]:
    """Return the messages of motion that the relay sends to its client in a turn. A message leaves as soon as
    it holds `payloads_per_message` payloads; the last one may hold fewer. `payload_arrivals` holds when each
    payload arrived at the relay, and how many keyframes had arrived by then."""
    messages: list[Message] = []
    sizes: list[int] = []
    keyframes_before = 0
    for index, (at, keyframe_count) in enumerate(payload_arrivals):
        sizes.append(PAYLOAD_BYTES + (keyframe_count - keyframes_before) * KEYFRAME_BYTES)
        keyframes_before = keyframe_count
        if len(sizes) >= pipeline.payloads_per_message or index == len(payload_arrivals) - 1:
            messages.append(
                Message(
                    at,
                    count_bytes_on_tcp(count_motion_message_bytes(pipeline.wire, sizes)),
                    keyframes=keyframe_count,
                )
            )
            sizes = []
    return messages


def _send_through_relay(messages: list[Message], pipeline: Pipeline, seed: int) -> list[Message]:
    """Return the messages of one client's turn with the times at which they have left the relay. The relay
    sends the messages of all its clients one after another.

    The other clients hear the same turn. Each begins at a random moment, at most the length of the turn
    earlier or later."""
    start_offsets = np.random.default_rng(seed).uniform(-1, 1, pipeline.clients - 1) * pipeline.seconds
    ready_at = np.array([message.at for message in messages])
    seconds_to_send = np.tile(
        [message.size * _MEGABITS_PER_BYTE / pipeline.relay_rate for message in messages], pipeline.clients
    )
    all_ready_at = np.concatenate([ready_at, *(ready_at + offset for offset in start_offsets)])
    order = np.argsort(all_ready_at, kind="stable")
    cumulated_seconds = np.cumsum(seconds_to_send[order])
    # A message is sent when it is ready, and all messages before it are sent.
    sent_at = np.empty_like(all_ready_at)
    sent_at[order] = (
        np.maximum.accumulate(all_ready_at[order] - cumulated_seconds + seconds_to_send[order])
        + cumulated_seconds
    )
    own_sent_at = np.maximum(ready_at, sent_at[: len(messages)])
    return [replace(message, at=float(at)) for message, at in zip(messages, own_sent_at, strict=True)]


def make_flow_to_client(
    pipeline: Pipeline, profile: NetworkProfile, turn_network: TurnNetwork
) -> TcpFlow | PlainFlow:
    """Return a new connection from the relay to its client, over the network that was drawn for the turn. It
    behaves as TCP that was idle before. If `pipeline.tcp` is False, it only queues and delays."""
    half_trip = turn_network.round_trip / 2
    bits_read_per_second = 1e6 * pipeline.client_reads or math.inf
    path = Path(
        turn_network.down,
        half_trip,
        half_trip,
        profile.queue,
        profile.loss,
        pipeline.send_buffer,
        bits_read_per_second,
    )
    if not pipeline.tcp:
        return PlainFlow(path)
    return TcpFlow(
        path, np.random.default_rng(turn_network.loss_seed).random if profile.loss else lambda: 1.0
    )


def play_arrivals(turn: SimulatedTurn, pipeline: Pipeline, arrival_times: Sequence[float]) -> None:
    """Play a simulated turn at its client, and store in the turn how the playback went. Store also how long
    the client would have to wait for a playback that is smooth. `arrival_times` says in seconds when each
    message of the turn came; infinity if it never came."""
    pairs = list(zip(turn.messages, arrival_times, strict=True))
    turn.audio = [(at, message.audio_end) for message, at in pairs if message.audio_end]
    turn.motion = [(at, message.keyframes) for message, at in pairs if not message.audio_end]
    turn.playback = play_turn(
        turn.audio,
        turn.motion,
        math.floor(pipeline.seconds * KEYFRAMES_PER_SECOND + 1e-9),
        start_buffer=pipeline.start_buffer,
        strict=pipeline.sync is Sync.STRICT_SYNC,
    )
    turn.wait_for_audio = find_needed_start_delay(turn.audio, turn.motion, with_motion=False)
    turn.wait_for_all = find_needed_start_delay(turn.audio, turn.motion, with_motion=True)


def _simulate_interrupt(
    turn: SimulatedTurn,
    pipeline: Pipeline,
    profile: NetworkProfile,
    turn_network: TurnNetwork,
    messages: list[Message],
) -> None:
    """Simulate the sending of these messages again, now with a user who interrupts the turn. Store in `turn`
    when the user interrupted, and how many bytes still reached the client, and for how long. The relay had
    sent them before it knew.

    If the turn would be over before the interrupt, store nothing. All other figures of the turn stay as they
    are."""
    interrupted_at = turn.playback.first_audio + pipeline.interrupt_after
    if interrupted_at >= turn.playback.end:
        return
    relay_knows_at = (
        turn_network.up.finish_time(interrupted_at, 8 * count_bytes_on_tcp(_INTERRUPT_BYTES, masked=True))
        + turn_network.round_trip / 2
    )
    flow = make_flow_to_client(pipeline, profile, turn_network)
    arrivals: list[tuple[float, int]] = []
    for message in messages:
        if max(message.at, flow.find_room_time(message.at, message.size)) > relay_knows_at:
            break
        arrivals.append((flow.write(message.at, message.size).arrived, message.size))
    arrivals_after = [(at, size) for at, size in arrivals if at > interrupted_at]
    turn.interrupted_at = interrupted_at
    turn.bytes_after = sum(size for _, size in arrivals_after)
    turn.seconds_after = (
        min(_LONGEST_SECONDS, arrivals_after[-1][0] - interrupted_at) if arrivals_after else 0.0
    )


_NO_DICE = np.random.default_rng(0)
"""For draws that nothing is random about."""
