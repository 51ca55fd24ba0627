"""One direction of a TCP connection over a modelled link: when what is written arrives.

What it does, and where that is from: an initial window of ten segments (RFC 6928); slow start, whose end a
rise of the delay announces (HyStart, as Linux does it); after idleness the window is halved for each time-out
that has passed (RFC 2861, as Linux does it); the window grows only if the sender used it (RFC 7661); CUBIC
(RFC 9438) after that; the retransmission time-out of RFC 6298 with Linux's least value, 200 ms; loss probes
for the tail (RFC 8985).

What it leaves out: acknowledgements are never lost and never delayed by the receiver. A receiver takes all
at once, or so many bits a second; then its window closes when its buffer is full, and the sender learns at
once of each byte that there is room for (no silly window, no probes: RFC 9293). A retransmission waits in no
queue: what is sent later makes way for it. An outage delays, and changes no window: Linux undoes the effects
of a time-out that was wrong (F-RTO, RFC 5682).
"""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from spatius_sim.model.network.link_capacity import Capacity

SEGMENT_BYTES = 1448
"""Data in a full segment: 1500 bytes less the headers of IPv4 and TCP with time stamps."""

HEADER_BYTES = 52
INITIAL_WINDOW = 10
MIN_TIMEOUT = 0.2
"""Seconds (Linux; RFC 6298 says one second)."""

MAX_TIMEOUT = 120.0
_FIRST_PROBE_EXTRA = 0.2
"""Seconds that a loss probe waits more if only one segment is not acknowledged: its receiver may wait too."""

CUBIC_GROWTH = 0.4
CUBIC_DECREASE = 0.7
_LARGEST_GROWTH = 0.5
"""By so many segments the congestion window grows at most after one acknowledgement."""
_RENO_GROWTH = 3 * (1 - CUBIC_DECREASE) / (1 + CUBIC_DECREASE)
_SLOW_START_LEAST = 16
"""The window in segments below which HyStart does not end slow start."""

_MAX_TRIES = 12
_SEGMENTS_THAT_SHOW_LOSS = 3
"""So many later segments, acknowledged, show the sender that an earlier one is lost (RFC 5681, 3.2)."""

_SAMPLES_OF_DELAY = 8
_LEAST_RISE, _MOST_RISE = 0.004, 0.016
"""HyStart: round trips that are measured, and the seconds by which all are longer, before slow start ends."""

_MOST_HALVINGS = 60

RECEIVE_BUFFER = 131_072
"""Bytes that have arrived and are not read yet, at most (Linux's default, before it tunes itself)."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way of one direction. `one_way` and `back` are the seconds that a segment and its acknowledgement
    take, without the queue. `queue`: bytes that wait before the link at most; what comes more is lost.
    `loss`: the share of segments that are lost. `send_buffer`: bytes that the sender's socket holds, sent and
    not acknowledged ones included. `reads`: bits a second that the receiving program takes."""

    capacity: Capacity
    one_way: float
    back: float
    queue: int = 256 * 1024
    loss: float = 0.0
    send_buffer: int = 256 * 1024
    reads: float = math.inf


class MessageDelivery(NamedTuple):
    """When a message was all in the sender's socket buffer, and when the receiving program had all of it, in
    seconds; infinity if never."""

    accepted: float
    arrived: float


class _Segment(NamedTuple):
    """A segment that was sent. `number` counts all segments of the connection from 1."""

    acknowledged_at: float
    sent_at: float
    number: int


class TcpFlow:
    """Sends messages over a path, in order. Each call of `write` returns when that message arrives: nothing
    that is written later changes it. `draw_number` returns a random number in [0, 1) for each segment; it is
    called only if the path loses segments."""

    def __init__(self, path: Path, draw_number: Callable[[], float] = lambda: 1.0) -> None:
        """Begin one direction of a TCP connection over this path, before anything is sent. `draw_number()`
        returns a random number in [0, 1) for each segment; it decides whether the segment is lost."""
        self._path, self._draw_number = path, draw_number
        self.window = float(INITIAL_WINDOW)
        """The congestion window in segments."""
        self._slow_start_threshold = math.inf
        base = path.one_way + path.back
        self._least_rtt = math.inf
        self._smoothed_rtt, self._rtt_variation = base, base / 2
        self._timeout = max(MIN_TIMEOUT, base * 3)
        self._unacknowledged_segments: deque[_Segment] = deque()
        self._sent_count = self._acknowledged_number = 0
        self._peak_unacknowledged = self._window_ends_at_number = 0
        """The most segments in one window that were sent and not yet acknowledged, and the segment whose
        acknowledgement ends this window."""
        self._window_limited = False
        self._round_until_number, self._round_sample_count, self._round_least_rtt = 0, 0, math.inf
        self._recovery_until_number = 0
        self._growth_began_at = -1.0
        self._window_before_loss = self._plateau_window = self._reno_window = 0.0
        self._seconds_to_plateau = 0.0
        self._last_sent_at = -math.inf
        self._link_free_at = 0.0
        self._retransmissions: deque[tuple[float, float]] = deque()
        self._delivered_at = 0.0
        self._queued_segments: deque[tuple[float, int]] = deque()
        self._queued_bytes = 0
        self._written_bytes = 0
        self._end_offsets: list[int] = []
        self._acknowledgement_times: list[float] = []
        self._read_times: list[float] = []
        self._last_read_at = 0.0
        self._room_in_last_segment = 0
        self.lost = 0
        """How many segments were lost so far."""
        self.on_sample: Callable[[float, int, float], None] | None = None
        """Called for each segment with its time, the bytes in the queue and the window, if anybody looks."""

    def find_room_time(self, from_seconds: float, byte_count: int) -> float:
        """Return when the sender's TCP socket buffer has room for the next message, which has `byte_count`
        bytes; not before `from_seconds`. For a message larger than the buffer, the buffer must be empty. A
        program that respects back-pressure waits until then."""
        bytes_to_acknowledge = (
            self._written_bytes + min(byte_count, self._path.send_buffer) - self._path.send_buffer
        )
        return max(from_seconds, self._find_acknowledgement_time(bytes_to_acknowledge))

    def write(self, written_at: float, byte_count: int) -> MessageDelivery:
        """Write a message of `byte_count` bytes to the TCP connection at the time `written_at` (seconds),
        after all earlier messages. Return when the socket buffer has accepted the whole message, and when the
        receiver has all of it. Both are infinity if a segment is lost too often."""
        bytes_left = byte_count
        if self._last_sent_at > written_at and self._room_in_last_segment:
            # The last segment still waits for the window, and has room for some of these bytes: they are sent
            # in it.
            joined_bytes = min(bytes_left, self._room_in_last_segment)
            self._link_free_at = self._occupy_link(self._link_free_at, joined_bytes)
            self._delivered_at = max(self._delivered_at, self._link_free_at + self._path.one_way)
            self._room_in_last_segment -= joined_bytes
            bytes_left -= joined_bytes
            self._note_acknowledgement_and_read_times(joined_bytes)
        while bytes_left > 0 and self._delivered_at < math.inf:
            segment_bytes = min(SEGMENT_BYTES, bytes_left)
            bytes_left -= segment_bytes
            self._send_segment(written_at, segment_bytes, -(-bytes_left // SEGMENT_BYTES))
        if self._delivered_at == math.inf:
            return MessageDelivery(math.inf, math.inf)
        return MessageDelivery(
            max(written_at, self._find_acknowledgement_time(self._written_bytes - self._path.send_buffer)),
            max(self._delivered_at, self._last_read_at),
        )

    def _send_segment(self, written_at: float, byte_count: int, later_segments: int) -> None:
        """Send a TCP segment with `byte_count` bytes, as soon as the congestion window and the buffers of
        both sides allow it. The window bounds how many segments are sent and not yet acknowledged.
        `written_at` is when its bytes were written, in seconds. `later_segments` is how many segments of the
        same message follow."""
        path, unacknowledged_segments = self._path, self._unacknowledged_segments
        sent_at = max(written_at, self._last_sent_at)
        end_offset = self._written_bytes + byte_count
        if end_offset > path.send_buffer:
            sent_at = max(sent_at, self._find_acknowledgement_time(end_offset - path.send_buffer))
        if self._last_read_at and end_offset > RECEIVE_BUFFER:
            sent_at = max(sent_at, self._find_read_time(end_offset - RECEIVE_BUFFER) + path.back)
        while unacknowledged_segments and unacknowledged_segments[0].acknowledged_at <= sent_at:
            self._take_acknowledgement(unacknowledged_segments.popleft())
        if self._sent_count and not unacknowledged_segments and sent_at - self._last_sent_at > self._timeout:
            self._shrink_window_after_idle(sent_at - self._last_sent_at)
        while len(unacknowledged_segments) >= int(self.window):
            oldest = unacknowledged_segments.popleft()
            sent_at = max(sent_at, oldest.acknowledged_at)
            self._window_limited = True
            self._take_acknowledgement(oldest)
        self._last_sent_at = sent_at
        self._sent_count += 1
        self._note_peak_of_window(len(unacknowledged_segments) + 1)
        arrived_at, acknowledged_at = self._send_over_link(sent_at, byte_count + HEADER_BYTES, later_segments)
        self._delivered_at = max(self._delivered_at, arrived_at)
        if self._delivered_at == math.inf:
            return
        unacknowledged_segments.append(_Segment(acknowledged_at, sent_at, self._sent_count))
        self._room_in_last_segment = SEGMENT_BYTES - byte_count
        self._note_acknowledgement_and_read_times(byte_count)

    def _send_over_link(self, sent_at: float, byte_count: int, later_segments: int) -> tuple[float, float]:
        """Send a TCP segment of `byte_count` bytes over the link at `sent_at` (seconds), and send it again if
        it is lost: by chance, or because the queue before the link is full. Return when it arrives, and when
        its acknowledgement comes back (or would come back). `later_segments` is how many segments of the
        message follow."""
        path, queued_segments = self._path, self._queued_segments
        while queued_segments and queued_segments[0][0] <= sent_at:
            self._queued_bytes -= queued_segments.popleft()[1]
        if self.on_sample:
            self.on_sample(sent_at, self._queued_bytes, self.window)
        overflows = self._queued_bytes + byte_count > path.queue
        if not overflows:
            self._link_free_at = self._occupy_link(max(sent_at, self._link_free_at), byte_count)
            if self._link_free_at == math.inf:
                return math.inf, math.inf
            queued_segments.append((self._link_free_at, byte_count))
            self._queued_bytes += byte_count
        acknowledged_at = max(self._link_free_at, sent_at) + path.one_way + path.back
        if overflows or (path.loss and self._draw_number() < path.loss):
            return self._send_again(sent_at, acknowledged_at, byte_count, later_segments), acknowledged_at
        return self._link_free_at + path.one_way, acknowledged_at

    def _occupy_link(self, start_at: float, byte_count: int) -> float:
        """Return when the link has carried `byte_count` bytes of a TCP segment, in seconds. It begins at
        `start_at`, or later if retransmissions occupy the link then: the segment waits until they are
        over."""
        retransmissions = self._retransmissions
        while retransmissions and retransmissions[0][1] <= start_at:
            retransmissions.popleft()
        finished_at = self._path.capacity.finish_time(start_at, 8 * byte_count)
        while retransmissions and retransmissions[0][0] < finished_at:
            finished_at = self._path.capacity.finish_time(retransmissions.popleft()[1], 8 * byte_count)
        return finished_at

    def _send_again(
        self, sent_at: float, loss_known_at: float, byte_count: int, later_segments: int
    ) -> float:
        """Send a lost TCP segment again until it is not lost, and return when it arrives; infinity after too
        many tries. If at least three segments follow, the sender knows of the loss at `loss_known_at`.
        Otherwise it learns of it by a loss probe or a time-out, counted from `sent_at`. All times are in
        seconds."""
        path = self._path
        self.lost += 1
        self._note_loss()
        if later_segments >= _SEGMENTS_THAT_SHOW_LOSS:
            retry_at = loss_known_at
        else:
            extra_seconds = _FIRST_PROBE_EXTRA if not self._unacknowledged_segments else 0.0
            retry_at = sent_at + min(self._timeout, 2 * self._smoothed_rtt + extra_seconds)
        timeout = self._timeout
        for _ in range(_MAX_TRIES):
            last_end = self._retransmissions[-1][1] if self._retransmissions else 0.0
            start_at = max(retry_at, self._link_free_at, last_end)
            finished_at = path.capacity.finish_time(start_at, 8 * byte_count)
            self._retransmissions.append((start_at, finished_at))
            if not path.loss or self._draw_number() >= path.loss:
                return finished_at + path.one_way
            retry_at += timeout
            timeout = min(2 * timeout, MAX_TIMEOUT)
            self.window, self._slow_start_threshold = 1.0, max(2.0, self.window / 2)
        return math.inf

    def _note_loss(self) -> None:
        """Make the congestion window smaller because a TCP segment was lost. All losses of one round trip
        count only once (RFC 9438, 4.6 and 4.7)."""
        if self._acknowledged_number < self._recovery_until_number:
            return
        self._recovery_until_number = self._sent_count
        old_window = self.window
        is_shrinking = old_window < self._window_before_loss
        self._window_before_loss = old_window * (1 + CUBIC_DECREASE) / 2 if is_shrinking else old_window
        self.window = self._slow_start_threshold = max(2.0, old_window * CUBIC_DECREASE)
        self._growth_began_at = -1.0

    def _take_acknowledgement(self, segment: _Segment) -> None:
        """Process the acknowledgement of a TCP segment: measure the round trip time (rtt), and set the
        retransmission time-out. Enlarge the congestion window if the sender has used enough of it. End the
        slow start if the round trips have become longer."""
        self._acknowledged_number = segment.number
        rtt = segment.acknowledged_at - segment.sent_at
        self._least_rtt = min(self._least_rtt, rtt)
        self._rtt_variation += (abs(rtt - self._smoothed_rtt) - self._rtt_variation) / 4
        self._smoothed_rtt += (rtt - self._smoothed_rtt) / 8
        self._timeout = min(MAX_TIMEOUT, self._smoothed_rtt + max(MIN_TIMEOUT, 4 * self._rtt_variation))
        if self.window < self._slow_start_threshold:
            self._end_slow_start_if_slower(segment, rtt)
            if self.window < 2 * self._peak_unacknowledged:
                self.window += 1
        elif self._window_limited:
            self._grow_cubic(segment.acknowledged_at)

    def _end_slow_start_if_slower(self, segment: _Segment, rtt: float) -> None:
        """End TCP's slow start if the round trips have become clearly longer (HyStart). `rtt` is the round
        trip of this segment in seconds. The shortest one of the current round is compared with the shortest
        one of the whole connection."""
        if segment.number > self._round_until_number:
            self._round_until_number = self._sent_count
            self._round_sample_count, self._round_least_rtt = 0, math.inf
        self._round_sample_count += 1
        self._round_least_rtt = min(self._round_least_rtt, rtt)
        if self.window < _SLOW_START_LEAST or self._round_sample_count < _SAMPLES_OF_DELAY:
            return
        rise = min(max(self._least_rtt / 8, _LEAST_RISE), _MOST_RISE)
        if self._round_least_rtt > self._least_rtt + rise:
            self._slow_start_threshold = self.window

    def _grow_cubic(self, now: float) -> None:
        """Enlarge the congestion window of TCP after one acknowledgement, as CUBIC does (RFC 9438). It grows
        fast at first, slowly near the window at the last loss (the plateau), then fast again; never slower
        than with Reno. `now` is in seconds."""
        if self._growth_began_at < 0:
            self._growth_began_at = now
            self._reno_window = self.window
            self._plateau_window = max(self._window_before_loss, self.window)
            self._seconds_to_plateau = ((self._plateau_window - self.window) / CUBIC_GROWTH) ** (1 / 3)
        passed_seconds = now - self._growth_began_at + self._smoothed_rtt
        target_window = self._plateau_window + CUBIC_GROWTH * (passed_seconds - self._seconds_to_plateau) ** 3
        self.window += min(_LARGEST_GROWTH, max(0.0, (target_window - self.window) / self.window))
        self._reno_window += _RENO_GROWTH / self._reno_window
        self.window = max(self.window, min(self._reno_window, self.window + _LARGEST_GROWTH))

    def _shrink_window_after_idle(self, idle_seconds: float) -> None:
        """Make the congestion window of a TCP connection smaller after `idle_seconds` without sending. It
        is halved for each retransmission time-out that has passed, but does not fall below the initial
        window."""
        least_window = min(float(INITIAL_WINDOW), self.window)
        if self._slow_start_threshold < math.inf:
            self._slow_start_threshold = max(self._slow_start_threshold, self.window * 3 / 4)
        halving_count = min(_MOST_HALVINGS, int(idle_seconds / self._timeout))
        self.window = max(least_window, self.window / 2**halving_count)
        self._growth_began_at = -1.0

    def _note_peak_of_window(self, unacknowledged_count: int) -> None:
        """Note the largest number of TCP segments in this window that were sent and not yet acknowledged;
        `unacknowledged_count` is the number now. A window ends when the newest segment at its peak is
        acknowledged. When a new one begins, note also whether the congestion window limits the sender."""
        window_has_ended = self._acknowledged_number >= self._window_ends_at_number
        if window_has_ended or unacknowledged_count > self._peak_unacknowledged:
            if window_has_ended:
                self._window_limited = unacknowledged_count >= int(self.window)
            self._peak_unacknowledged = unacknowledged_count
            self._window_ends_at_number = self._sent_count

    def _note_acknowledgement_and_read_times(self, byte_count: int) -> None:
        """Note for the last `byte_count` bytes that TCP has sent when they will be acknowledged. If the
        receiving program reads at a limited rate, note also when it will have read them."""
        self._written_bytes += byte_count
        self._end_offsets.append(self._written_bytes)
        self._acknowledgement_times.append(self._delivered_at + self._path.back)
        if self._path.reads < math.inf:
            reading_begins_at = max(self._last_read_at, self._delivered_at)
            self._last_read_at = reading_begins_at + 8 * byte_count / self._path.reads
            self._read_times.append(self._last_read_at)

    def _find_read_time(self, byte_count: int) -> float:
        """Return when the receiving program has read the first `byte_count` bytes."""
        return self._read_times[bisect_left(self._end_offsets, byte_count)]

    def _find_acknowledgement_time(self, byte_count: int) -> float:
        """Return when the first `byte_count` bytes that were sent are acknowledged, in seconds; minus
        infinity if `byte_count` is not above 0."""
        if byte_count <= 0:
            return -math.inf
        return self._acknowledgement_times[bisect_left(self._end_offsets, byte_count)]
