"""A link in user space between two network namespaces that carries real TCP: what the model is held against.

It drives the kernel's TCP with the very capacity that the model has, bit for bit. It needs root and TUN.
"""

import ctypes
import fcntl
import heapq
import multiprocessing
import os
import select
import socket
import struct
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from spatius_sim.model.network.link_capacity import Capacity

SENDER, RECEIVER, PORT = "10.93.0.1", "10.93.0.2", 7000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_NEW_NETWORK = 0x40000000
_LARGEST_PACKET = 2048
_HEADERS = 52


def why_not() -> str:
    """Why this machine cannot carry the link; "" if it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    tried = subprocess.run(["ip", "netns", "list"], capture_output=True, check=False) if _has_ip() else None
    return "" if tried is not None and tried.returncode == 0 else "the program ip is missing"


def _has_ip() -> bool:
    return any(Path(folder, "ip").exists() for folder in os.environ.get("PATH", "").split(":"))


class Link:
    """Two namespaces and the link between them. One turn at a time; each has a connection of its own."""

    def __init__(self, names: tuple[str, str], ends: tuple[int, int]) -> None:
        self._ends = ends
        context = multiprocessing.get_context("fork")
        self._pipes: list[Connection] = []
        self._children = []
        for name, work in zip(names, (_send_turns, _receive_turns), strict=True):
            ours, theirs = context.Pipe()
            child = context.Process(target=work, args=(name, theirs), daemon=True)
            child.start()
            self._pipes.append(ours)
            self._children.append(child)

    def play(
        self,
        messages: Sequence[tuple[float, int]],
        capacity: Capacity,
        round_trip: float,
        queue: int,
        most_seconds: float,
    ) -> list[float]:
        """Send messages of these sizes at these times over the link, and return when each arrived; infinity
        for what had not arrived after `most_seconds`."""
        sender, receiver = self._pipes
        total = sum(size for _, size in messages)
        receiver.send(total)
        assert receiver.recv() == "listening"
        sender.send(messages)
        crossing = _Crossing(self._ends, round_trip / 2, queue)
        began = 0.0
        done: list[tuple[float, int]] | None = None
        while done is None:
            if sender.poll():
                # The connection is up, and the clock of the turn begins.
                began = sender.recv()
                crossing.begin(capacity, began)
            if receiver.poll():
                done = receiver.recv()
            elif began and time.monotonic() - began > most_seconds:
                os.kill(self._children[1].pid or 0, 10)
                done = receiver.recv()
            crossing.carry()
        self._drain(crossing)
        return _arrivals(messages, [(at - began, count) for at, count in done])

    def _drain(self, crossing: "_Crossing") -> None:
        """Let the ends of the connection be told before the next turn."""
        until = time.monotonic() + 0.3
        crossing.open_up()
        while time.monotonic() < until:
            crossing.carry()

    def close(self) -> None:
        """End both children."""
        for child in self._children:
            child.terminate()
            child.join()


def _arrivals(messages: Sequence[tuple[float, int]], reads: list[tuple[float, int]]) -> list[float]:
    """Return when the last byte of each message was read."""
    arrivals, end, seen = [], 0, 0
    pending = deque(reads)
    at = 0.0
    for _, size in messages:
        end += size
        while seen < end and pending:
            at, count = pending.popleft()
            seen += count
        arrivals.append(at if seen >= end else float("inf"))
    return arrivals


class _Crossing:
    """Carries packets between the two devices: down with capacity, queue and delay, up with delay."""

    def __init__(self, ends: tuple[int, int], one_way: float, queue: int) -> None:
        self._ends, self._one_way, self._queue_bytes = ends, one_way, queue
        self._capacity: Capacity | None = None
        self._began = self._free = 0.0
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._queued: deque[tuple[float, int]] = deque()
        self._backlog = self._number = 0

    def begin(self, capacity: Capacity, began: float) -> None:
        """From now on the way down has this capacity."""
        self._capacity, self._began = capacity, began

    def open_up(self) -> None:
        """From now on the way down has no limit, and no delay either."""
        self._capacity, self._one_way = None, 0.0

    def carry(self) -> None:
        """Wait for the next packet or delivery, 10 ms at most, and do what is due."""
        wait = min(0.01, self._waiting[0][0] - time.monotonic()) if self._waiting else 0.01
        ready, _, _ = select.select(self._ends, [], [], max(0.0, wait))
        for end in ready:
            for _ in range(64):
                try:
                    packet = os.read(end, _LARGEST_PACKET)
                except BlockingIOError:
                    break
                self._take(packet, end == self._ends[0])
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, end, packet = heapq.heappop(self._waiting)
            os.write(end, packet)

    def _take(self, packet: bytes, down: bool) -> None:
        """Decide when a packet leaves; drop it if the queue is full."""
        now = time.monotonic()
        due = now + self._one_way
        # The model gives the way down to data alone: a bare acknowledgement has none.
        if down and self._capacity is not None and len(packet) > _HEADERS:
            at = now - self._began
            while self._queued and self._queued[0][0] <= at:
                self._backlog -= self._queued.popleft()[1]
            if self._backlog + len(packet) > self._queue_bytes:
                return
            self._free = self._capacity.finish_time(max(at, self._free), 8 * len(packet))
            self._queued.append((self._free, len(packet)))
            self._backlog += len(packet)
            due = self._began + self._free + self._one_way
        self._number += 1
        heapq.heappush(self._waiting, (due, self._number, self._ends[1] if down else self._ends[0], packet))


def _enter(name: str) -> None:
    """Move this process into a network namespace."""
    library = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", name).open() as file:
        if library.setns(file.fileno(), _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")


def _send_turns(name: str, pipe: Connection) -> None:
    """Send one turn after the other: each message at its time, as far as the socket takes it."""
    _enter(name)
    while True:
        messages = pipe.recv()
        with socket.create_connection((RECEIVER, PORT)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began = time.monotonic() + 0.05
            pipe.send(began)
            try:
                for at, size in messages:
                    time.sleep(max(0.0, began + at - time.monotonic()))
                    connection.sendall(bytes(size))
            except OSError:
                continue  # The receiver has given up.
            connection.shutdown(socket.SHUT_WR)
            try:
                connection.recv(1)
            except OSError:
                continue


def _receive_turns(name: str, pipe: Connection) -> None:
    """Receive one turn after the other; tell when how many bytes were read. SIGUSR1 ends a turn."""
    import signal

    class GiveUpError(Exception):
        """The turn takes too long."""

    def give_up(*_: object) -> None:
        raise GiveUpError

    _enter(name)
    signal.signal(signal.SIGUSR1, give_up)
    server = socket.create_server((RECEIVER, PORT))
    while True:
        total = pipe.recv()
        pipe.send("listening")
        reads: list[tuple[float, int]] = []
        connection = None
        try:
            connection, _ = server.accept()
            while total > 0 and (data := connection.recv(1 << 20)):
                reads.append((time.monotonic(), len(data)))
                total -= len(data)
        except GiveUpError:
            pass
        finally:
            if connection is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
        pipe.send(reads)


def _make_tun(device: str) -> int:
    """Make a TUN device, and return its file descriptor."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH", device.encode(), _IFF_TUN | _IFF_NO_PI))
    return end


@contextmanager
def real_link(number: int = 0) -> Iterator[Link]:
    """A link between two namespaces of its own, which are removed afterwards."""
    mark = f"{os.getpid() % 100_000}-{number}"
    names = (f"sim-s{mark}", f"sim-r{mark}")
    devices = (f"ss{mark}"[:15], f"sr{mark}"[:15])
    ends: list[int] = []
    made: list[str] = []
    link = None
    try:
        for name, device, own, other in zip(
            names, devices, (SENDER, RECEIVER), (RECEIVER, SENDER), strict=True
        ):
            ends.append(_make_tun(device))
            _run("ip", "netns", "add", name)
            made.append(name)
            _run("ip", "link", "set", device, "netns", name)
            inside = ("ip", "netns", "exec", name)
            _run(*inside, "ip", "address", "add", own, "peer", other, "dev", device)
            _run(*inside, "ip", "link", "set", device, "mtu", "1500", "up")
            # What an earlier connection learned would be known to the next one.
            _run(*inside, "sysctl", "-q", "-w", "net.ipv4.tcp_no_metrics_save=1")
        link = Link(names, (ends[0], ends[1]))
        yield link
    finally:
        if link is not None:
            link.close()
        for end in ends:
            os.close(end)
        for name in made:
            _run("ip", "netns", "delete", name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
