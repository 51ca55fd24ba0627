"""Reads the YAML files in which networks are described, the shipped ones and a team's own; imports measured
traces. Every error names file and line."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from yaml.nodes import Node

from spatius_sim.files.yaml_file import YamlFile, quote_short, read_bytes
from spatius_sim.model.network.link_capacity import (
    MAX_TRACE_STEPS,
    CapacityProcess,
    ConstantRate,
    LogNormalRate,
    Outages,
    RateTrace,
)
from spatius_sim.model.network.network_profile import NetworkProfile, RoundTrip
from spatius_sim.protocol.errors import UsageError

MAX_PROFILES = 64
MAX_TRACE_BYTES = 32 * 1024 * 1024
MAHIMAHI_PACKET_BITS = 1500 * 8
"""What each line of a Mahimahi trace lets through (doc)."""

_MAHIMAHI_STEP_MS = 50
_MAX_LINE = 256
_SHIPPED = Path(__file__).resolve().parent / "networks.yaml"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_MAX_QUEUE_KB = 1e12
_USUAL_QUEUE_KB = 256
_LONGEST_ABOUT = 500
_LONGEST_QUOTE = 40
_MOST_MEGABITS, _LATEST_SECOND = 1e6, 1e7
_MEGABIT = 1e6

_PROCESS_KEYS = {"rate", "log_mean", "log_sd", "correlation", "most", "outages", "mahimahi", "csv"}


@lru_cache(maxsize=1)
def shipped_networks() -> dict[str, NetworkProfile]:
    """Return the networks that come with the package, by name."""
    return read_networks(_SHIPPED)


def read_networks(path: Path) -> dict[str, NetworkProfile]:
    """Return the networks in a YAML file, by name. Raises UsageError, which names file, line and key, if the
    file describes none."""
    reader = NetworkReader(str(path), path.parent)
    root = reader.root(read_bytes(path))
    if root is None:
        raise UsageError(f"{path}:1: the file is empty: networks is needed")
    top = reader.mapping(root, "the file", {"networks"})
    if "networks" not in top:
        raise reader.error(root, "networks is missing")
    return reader.read_all(top["networks"])


class NetworkReader(YamlFile):
    """Reads the networks of one file. Traces lie in `folder` or below it. Every method raises UsageError with
    place, line and key."""

    def __init__(self, place: str, folder: Path) -> None:
        """Begin to read a network file. Errors name the file by `place`; the traces that it names must be in
        `folder` or below."""
        super().__init__(place)
        self._folder = folder

    def read_all(self, node: Node) -> dict[str, NetworkProfile]:
        """Return all networks of a network file, by name. Raises UsageError for a bad name, too many
        networks, or a bad network."""
        items = self.items(node, "networks")
        if len(items) > MAX_PROFILES:
            raise self.error(node, f"networks: more than {MAX_PROFILES}")
        for name, (key, _) in items.items():
            if not _NAME.fullmatch(name):
                raise self.error(
                    key, f"{quote_short(name)} is not a name: small letters, digits and -, 48 at most"
                )
        return {name: self.read_network(name, value) for name, (_, value) in items.items()}

    def read_network(self, name: str, node: Node) -> NetworkProfile:
        """Read the network with this name from a network file, and return its profile. Raises UsageError if a
        part is missing or wrong."""
        parts = self.mapping(node, name, {"about", "down", "up", "rtt", "loss", "queue"})
        for key in ("down", "rtt"):
            if key not in parts:
                raise self.error(node, f"{name}: {key} is missing")
        down = self._read_process(parts["down"], "down")
        up = self._read_process(parts["up"], "up") if "up" in parts else down
        round_trip = self._read_round_trip(parts["rtt"])
        about = self.text(parts["about"], "about")[:_LONGEST_ABOUT] if "about" in parts else ""
        loss = self.number(parts["loss"], "loss") if "loss" in parts else 0.0
        # Too large a number stays finite, and is refused with the network's other bounds.
        kilobytes = self.number(parts["queue"], "queue") if "queue" in parts else _USUAL_QUEUE_KB
        queue = round(1024 * max(-1.0, min(kilobytes, _MAX_QUEUE_KB)))
        return self.build(node, lambda: NetworkProfile(name, about, down, up, round_trip, loss, queue), name)

    def _read_round_trip(self, node: Node) -> RoundTrip:
        """Read `rtt` of a network file, two percentiles in milliseconds, and return the round trip in
        seconds. Raises UsageError if p50 is missing or a value is bad."""
        parts = self.mapping(node, "rtt", {"p50", "p90"})
        if "p50" not in parts:
            raise self.error(node, "rtt: p50 is missing")
        p50 = self.number(parts["p50"], "rtt.p50") / 1000
        p90 = self.number(parts["p90"], "rtt.p90") / 1000 if "p90" in parts else p50
        return self.build(node, lambda: RoundTrip(p50, p90), "rtt")

    def _read_process(self, node: Node, key: str) -> CapacityProcess:
        """Read `down` or `up` of a network file, and return what the link carries: a rate, a drawn process or
        a trace of measured rates. Raises UsageError if the keys do not go together."""
        parts = self.mapping(node, key, _PROCESS_KEYS)
        kinds = [kind for kind in ("rate", "log_mean", "mahimahi", "csv") if kind in parts]
        if len(kinds) != 1:
            raise self.error(node, f"{key}: one of rate, log_mean, mahimahi and csv is needed")
        kind = kinds[0]
        allowed = {"log_mean", "log_sd", "correlation", "most", "outages"} if kind == "log_mean" else {kind}
        for other in parts:
            if other not in allowed:
                raise self.error(parts[other], f"{key}: {other} does not go with {kind}")
        if kind == "rate":
            rate = self.number(parts["rate"], f"{key}.rate") * _MEGABIT
            return self.build(parts["rate"], lambda: ConstantRate(rate), f"{key}.rate")
        if kind == "log_mean":
            return self._read_log_normal(node, parts, key)
        path = self._trace_path(parts[kind], f"{key}.{kind}")
        return self.build(parts[kind], lambda: read_trace(path, kind), f"{key}.{kind}")

    def _read_log_normal(self, node: Node, parts: dict[str, Node], key: str) -> CapacityProcess:
        """Read a log-normal rate of a network file, with outages if there are any. Raises UsageError if a
        value is missing or bad."""
        for needed in ("log_sd", "correlation"):
            if needed not in parts:
                raise self.error(node, f"{key}: {needed} is missing")
        numbers = {
            name: self.number(parts[name], f"{key}.{name}")
            for name in ("log_mean", "log_sd", "correlation", "most")
            if name in parts
        }
        outages = self._read_outages(parts["outages"]) if "outages" in parts else None
        return self.build(node, lambda: LogNormalRate(**numbers, outages=outages), key)

    def _read_outages(self, node: Node) -> Outages:
        """Read the outages of a link in a network file. Raises UsageError if a value is missing or bad."""
        keys = ("per_minute", "mean", "p95", "longest")
        parts = self.mapping(node, "outages", keys)
        for key in keys:
            if key not in parts:
                raise self.error(node, f"outages: {key} is missing")
        numbers = {key: self.number(parts[key], f"outages.{key}") for key in keys}
        return self.build(node, lambda: Outages(**numbers), "outages")

    def _trace_path(self, node: Node, key: str) -> Path:
        """Return the path of a trace of measured rates, which a network file names. Raises UsageError if it
        is outside the folder of the network file."""
        name = self.text(node, key)
        try:
            path = (self._folder / name).resolve()
        except (OSError, ValueError) as error:
            raise self.error(node, f"{key}: {quote_short(name)} is not a path") from error
        if not path.is_relative_to(self._folder.resolve()):
            raise self.error(
                node, f"{key}: {quote_short(name)} lies outside the folder of this file: copy it there"
            )
        return path


def read_trace(path: Path, kind: str) -> RateTrace:
    """Return the measured rates of a network in a file. `kind`: `mahimahi` (each line the milliseconds at
    which 1500 bytes may pass) or `csv` (each line seconds and Mbit/s, the rate from then on). Raises
    UsageError, which names the line."""
    return _import_mahimahi(path) if kind == "mahimahi" else _import_csv(path)


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with the measured rates of a network, each with its number, but no empty
    lines and no comments. Raises UsageError if the file or a line is too long, or if the file cannot be
    read."""
    try:
        if path.stat().st_size > MAX_TRACE_BYTES:
            raise UsageError(f"{path}:1: larger than {MAX_TRACE_BYTES} bytes: cut it")
        with path.open(encoding="utf-8", errors="replace") as file:
            number = 0
            while line := file.readline(_MAX_LINE):
                number += 1
                if len(line) == _MAX_LINE:
                    raise UsageError(f"{path}:{number}: the line is too long for a trace")
                text = line.strip()
                if text and not text.startswith("#"):
                    yield number, text
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _import_mahimahi(path: Path) -> RateTrace:
    """Return the rates of a network, measured in steps of 50 ms, from a trace file of the tool Mahimahi: each
    line is the time in ms at which one packet could be sent. Raises UsageError, which names the line, if the
    file is no such trace."""
    counts: list[int] = []
    previous_ms = number = 0
    for number, text in _read_lines(path):
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise UsageError(
                f"{path}:{number}: {text[:_LONGEST_QUOTE]!r} is not a time in whole milliseconds"
            )
        at = int(text)
        if at < previous_ms:
            raise UsageError(f"{path}:{number}: {at} ms lies before {previous_ms} ms: a trace goes forward")
        previous_ms = at
        # A packet at the very end of a step still belongs to it: Mahimahi's times are ends.
        step = max(0, at - 1) // _MAHIMAHI_STEP_MS
        if step >= MAX_TRACE_STEPS:
            raise UsageError(
                f"{path}:{number}: longer than {MAX_TRACE_STEPS * _MAHIMAHI_STEP_MS // 1000} s: cut it"
            )
        counts.extend([0] * (step + 1 - len(counts)))
        counts[step] += 1
    if previous_ms == 0:
        raise UsageError(f"{path}:{number or 1}: the trace never delivers: a time above 0 ms is needed")
    step_seconds = _MAHIMAHI_STEP_MS / 1000
    rates = tuple(count * MAHIMAHI_PACKET_BITS / step_seconds for count in counts)
    return RateTrace(
        tuple(index * step_seconds for index in range(len(rates))), rates, len(rates) * step_seconds
    )


def _import_csv(path: Path) -> RateTrace:
    """Return the measured rates of a network in a CSV file with seconds and Mbit/s. A first line that is not
    a number is the header. The last rate lasts as long as the rate before it. Raises UsageError, which names
    the line, if the file holds no such rates."""
    times: list[float] = []
    rates: list[float] = []
    for number, text in _read_lines(path):
        cells = [cell.strip() for cell in text.split(",")]
        try:
            at, rate = (float(cell) for cell in cells)
        except ValueError:
            if not times and re.match(r"[A-Za-z_\"]", text):
                continue
            raise UsageError(f"{path}:{number}: {text[:_LONGEST_QUOTE]!r} is not `seconds,Mbit/s`") from None
        if not 0 <= rate <= _MOST_MEGABITS:
            raise UsageError(f"{path}:{number}: the rate must lie between 0 and 1000000 Mbit/s")
        if not 0 <= at <= _LATEST_SECOND or (times and at <= times[-1]):
            raise UsageError(
                f"{path}:{number}: the times must rise from line to line, and begin at 0 or later"
            )
        if len(times) >= MAX_TRACE_STEPS:
            raise UsageError(f"{path}:{number}: more than {MAX_TRACE_STEPS} lines: cut it")
        times.append(at)
        rates.append(rate * _MEGABIT)
    if len(times) < 2:
        raise UsageError(f"{path}:1: a trace needs two lines of `seconds,Mbit/s` at least")
    if not any(rates):
        raise UsageError(f"{path}:1: the trace never delivers: a rate above 0 is needed")
    begin = times[0]
    period = times[-1] - begin + (times[-1] - times[-2])
    return RateTrace(tuple(at - begin for at in times), tuple(rates), period)
