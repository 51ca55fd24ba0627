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
"""Seconds that a loss probe waits more if one segment alone is under way: its receiver may wait too."""

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
    acknowledged: float
    sent: float
    number: int


class TcpFlow:
    """Sends messages over a path, in order. Each call of `write` returns when that message arrives: nothing
    that is written later changes it. `roll` returns a random number in [0, 1) for each segment; it is called
    only if the path loses segments."""

    def __init__(self, path: Path, roll: Callable[[], float] = lambda: 1.0) -> None:
        """Begin one direction of a TCP connection over this path: nothing is sent yet, and no loss is
        known."""
        self._path, self._roll = path, roll
        self.window = float(INITIAL_WINDOW)
        """The congestion window in segments."""
        self._threshold = math.inf
        base = path.one_way + path.back
        self._least_rtt = math.inf
        self._smoothed_rtt, self._rtt_variation = base, base / 2
        self._timeout = max(MIN_TIMEOUT, base * 3)
        self._under_way: deque[_Segment] = deque()
        self._sent = self._acknowledged = 0
        self._peak = self._peak_until = 0
        self._window_limited = False
        self._round_until, self._round_samples, self._round_least = 0, 0, math.inf
        self._recovery_until = 0
        self._growth_began = -1.0
        self._window_before_loss = self._plateau_window = self._reno_window = 0.0
        self._seconds_to_plateau = 0.0
        self._last_sent = -math.inf
        self._link_free = 0.0
        self._repairs: deque[tuple[float, float]] = deque()
        self._delivered = 0.0
        self._queued: deque[tuple[float, int]] = deque()
        self._backlog = 0
        self._written = 0
        self._ends: list[int] = []
        self._end_times: list[float] = []
        self._read_times: list[float] = []
        self._read = 0.0
        self._room_in_last = 0
        self.lost = 0
        """How many segments were lost so far."""
        self.on_sample: Callable[[float, int, float], None] | None = None
        """Called for each segment with its time, the bytes in the queue and the window, if anybody looks."""

    def room_at(self, at: float, size: int) -> float:
        """Return when, from `at` seconds on, the sender's TCP socket buffer has room for the first byte of
        the next message, which has this size. A program that respects back-pressure waits until then."""
        beyond = self._written + min(size, self._path.send_buffer) - self._path.send_buffer
        return max(at, self._acknowledged_at(beyond))

    def write(self, at: float, size: int) -> MessageDelivery:
        """Write a message of `size` bytes to the TCP connection at `at` seconds, after the messages before
        it. Return when the socket buffer has accepted all of it, and when all of it has arrived."""
        left = size
        if self._last_sent > at and self._room_in_last:
            # The segment before still waits for the window, and takes some of these bytes along.
            joined = min(left, self._room_in_last)
            self._link_free = self._occupy_link(self._link_free, joined)
            self._delivered = max(self._delivered, self._link_free + self._path.one_way)
            self._room_in_last -= joined
            left -= joined
            self._note_end(joined)
        while left > 0 and self._delivered < math.inf:
            part = min(SEGMENT_BYTES, left)
            left -= part
            self._send_segment(at, part, -(-left // SEGMENT_BYTES))
        if self._delivered == math.inf:
            return MessageDelivery(math.inf, math.inf)
        return MessageDelivery(
            max(at, self._acknowledged_at(self._written - self._path.send_buffer)),
            max(self._delivered, self._read),
        )

    def _send_segment(self, at: float, size: int, following: int) -> None:
        """Send one TCP segment with `size` bytes, as soon as the congestion window and the socket buffer
        allow it. `following`: how many segments of the same message follow."""
        path, under_way = self._path, self._under_way
        sent = max(at, self._last_sent)
        if self._written + size > path.send_buffer:
            sent = max(sent, self._acknowledged_at(self._written + size - path.send_buffer))
        if self._read and self._written + size > RECEIVE_BUFFER:
            sent = max(sent, self._read_at(self._written + size - RECEIVE_BUFFER) + path.back)
        while under_way and under_way[0].acknowledged <= sent:
            self._take_acknowledgement(under_way.popleft())
        if self._sent and not under_way and sent - self._last_sent > self._timeout:
            self._shrink_window_after_idle(sent - self._last_sent)
        while len(under_way) >= int(self.window):
            oldest = under_way.popleft()
            sent = max(sent, oldest.acknowledged)
            self._window_limited = True
            self._take_acknowledgement(oldest)
        self._last_sent = sent
        self._sent += 1
        self._note_peak(len(under_way) + 1)
        arrived, acknowledged = self._send_over_link(sent, size + HEADER_BYTES, following)
        self._delivered = max(self._delivered, arrived)
        if self._delivered == math.inf:
            return
        under_way.append(_Segment(acknowledged, sent, self._sent))
        self._room_in_last = SEGMENT_BYTES - size
        self._note_end(size)

    def _send_over_link(self, sent: float, size: int, following: int) -> tuple[float, float]:
        """Send a TCP segment of `size` bytes over the link at `sent` seconds. Return when the segment arrives
        at the receiver, and when the sender knows whether it was lost. A lost segment is sent again;
        `following` is the number of segments sent after it."""
        path, queued = self._path, self._queued
        while queued and queued[0][0] <= sent:
            self._backlog -= queued.popleft()[1]
        if self.on_sample:
            self.on_sample(sent, self._backlog, self.window)
        overflows = self._backlog + size > path.queue
        if not overflows:
            self._link_free = self._occupy_link(max(sent, self._link_free), size)
            if self._link_free == math.inf:
                return math.inf, math.inf
            queued.append((self._link_free, size))
            self._backlog += size
        known_at = max(self._link_free, sent) + path.one_way + path.back
        if overflows or (path.loss and self._roll() < path.loss):
            return self._send_again(sent, known_at, size, following), known_at
        return self._link_free + path.one_way, known_at

    def _occupy_link(self, start: float, size: int) -> float:
        """Return when the link has carried `size` bytes of a TCP segment that is sent at `start` at the
        earliest. The segment goes between the retransmissions that occupy the link, or after them."""
        repairs = self._repairs
        while repairs and repairs[0][1] <= start:
            repairs.popleft()
        finished = self._path.capacity.finish(start, 8 * size)
        while repairs and repairs[0][0] < finished:
            finished = self._path.capacity.finish(repairs.popleft()[1], 8 * size)
        return finished

    def _send_again(self, sent: float, known_at: float, size: int, following: int) -> float:
        """Send a lost TCP segment again until it is not lost, and return when it arrives; infinity after too
        many tries. If at least three segments follow, the sender learns of the loss at `known_at`, one round
        trip later; otherwise a loss probe shows it, and after that a time-out."""
        path = self._path
        self.lost += 1
        self._note_loss()
        if following >= _SEGMENTS_THAT_SHOW_LOSS:
            retry_at = known_at
        else:
            alone = _FIRST_PROBE_EXTRA if not self._under_way else 0.0
            retry_at = sent + min(self._timeout, 2 * self._smoothed_rtt + alone)
        timeout = self._timeout
        for _ in range(_MAX_TRIES):
            start = max(retry_at, self._link_free, self._repairs[-1][1] if self._repairs else 0.0)
            finished = path.capacity.finish(start, 8 * size)
            self._repairs.append((start, finished))
            if not path.loss or self._roll() >= path.loss:
                return finished + path.one_way
            retry_at += timeout
            timeout = min(2 * timeout, MAX_TIMEOUT)
            self.window, self._threshold = 1.0, max(2.0, self.window / 2)
        return math.inf

    def _note_loss(self) -> None:
        """Reduce the congestion window after a lost TCP segment, but only once for all losses of one round
        trip (RFC 9438, 4.6 and 4.7)."""
        if self._acknowledged < self._recovery_until:
            return
        self._recovery_until = self._sent
        before = self.window
        shrinking = before < self._window_before_loss
        self._window_before_loss = before * (1 + CUBIC_DECREASE) / 2 if shrinking else before
        self.window = self._threshold = max(2.0, before * CUBIC_DECREASE)
        self._growth_began = -1.0

    def _take_acknowledgement(self, segment: _Segment) -> None:
        """Take the acknowledgement of a TCP segment: measure the round trip and set the retransmission
        time-out, and enlarge the congestion window if the sender uses all of it."""
        self._acknowledged = segment.number
        rtt = segment.acknowledged - segment.sent
        self._least_rtt = min(self._least_rtt, rtt)
        self._rtt_variation += (abs(rtt - self._smoothed_rtt) - self._rtt_variation) / 4
        self._smoothed_rtt += (rtt - self._smoothed_rtt) / 8
        self._timeout = min(MAX_TIMEOUT, self._smoothed_rtt + max(MIN_TIMEOUT, 4 * self._rtt_variation))
        if self.window < self._threshold:
            self._watch_delay(segment, rtt)
            if self.window < 2 * self._peak:
                self.window += 1
        elif self._window_limited:
            self._grow_cubic(segment.acknowledged)

    def _watch_delay(self, segment: _Segment, rtt: float) -> None:
        """End TCP's slow start if all round trips that were measured since the window was sent are clearly
        longer than the shortest round trip of all (HyStart)."""
        if segment.number > self._round_until:
            self._round_until, self._round_samples, self._round_least = self._sent, 0, math.inf
        self._round_samples += 1
        self._round_least = min(self._round_least, rtt)
        if self.window < _SLOW_START_LEAST or self._round_samples < _SAMPLES_OF_DELAY:
            return
        rise = min(max(self._least_rtt / 8, _LEAST_RISE), _MOST_RISE)
        if self._round_least > self._least_rtt + rise:
            self._threshold = self.window

    def _grow_cubic(self, now: float) -> None:
        """Enlarge the congestion window of TCP after one acknowledgement, as CUBIC does (RFC 9438): steeply
        at first, slowly near the window at which the last loss came (the plateau), then steeply again; never
        slower than Reno does."""
        if self._growth_began < 0:
            self._growth_began = now
            self._reno_window = self.window
            self._plateau_window = max(self._window_before_loss, self.window)
            self._seconds_to_plateau = ((self._plateau_window - self.window) / CUBIC_GROWTH) ** (1 / 3)
        passed = now - self._growth_began + self._smoothed_rtt
        target = self._plateau_window + CUBIC_GROWTH * (passed - self._seconds_to_plateau) ** 3
        self.window += min(_LARGEST_GROWTH, max(0.0, (target - self.window) / self.window))
        self._reno_window += _RENO_GROWTH / self._reno_window
        self.window = max(self.window, min(self._reno_window, self.window + _LARGEST_GROWTH))

    def _shrink_window_after_idle(self, idle: float) -> None:
        """Reduce the congestion window of a TCP connection that was idle for so many seconds: halve it for
        each time-out that has passed, but not below the initial window."""
        least = min(float(INITIAL_WINDOW), self.window)
        self._threshold = (
            max(self._threshold, self.window * 3 / 4) if self._threshold < math.inf else math.inf
        )
        halvings = min(_MOST_HALVINGS, int(idle / self._timeout))
        self.window = max(least, self.window / 2**halvings)
        self._growth_began = -1.0

    def _note_peak(self, under_way: int) -> None:
        """Note the largest number of TCP segments that were under way at the same time in the last window,
        and whether the congestion window kept this number from being larger."""
        if self._acknowledged >= self._peak_until or under_way > self._peak:
            if self._acknowledged >= self._peak_until:
                self._window_limited = under_way >= int(self.window)
            self._peak = under_way
            self._peak_until = self._sent

    def _note_end(self, size: int) -> None:
        """Note for the last `size` bytes that TCP has sent when they will be acknowledged, and when the
        receiving program will have read them."""
        self._written += size
        self._ends.append(self._written)
        self._end_times.append(self._delivered + self._path.back)
        if self._path.reads < math.inf:
            self._read = max(self._read, self._delivered) + 8 * size / self._path.reads
            self._read_times.append(self._read)

    def _read_at(self, count: int) -> float:
        """Return when the receiving program has read the first `count` bytes."""
        return self._read_times[bisect_left(self._ends, count)]

    def _acknowledged_at(self, count: int) -> float:
        """Return when the first `count` bytes are acknowledged."""
        return self._end_times[bisect_left(self._ends, count)] if count > 0 else -math.inf
