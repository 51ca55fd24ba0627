"""Reads the YAML files in which networks are described, the shipped ones and a team's own; imports measured
traces. Every error names file and line."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from yaml.nodes import Node

from spatius_sim.files.yaml_file import YamlFile, quote_short, read_yaml_bytes
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
MAX_RATE_TRACE_BYTES = 32 * 1024 * 1024
MAHIMAHI_PACKET_BITS = 1500 * 8
"""What each line of a Mahimahi trace lets through (doc)."""

_MAHIMAHI_STEP_MS = 50
_MAX_LINE = 256
_SHIPPED = Path(__file__).resolve().parent / "networks.yaml"
_NETWORK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_MAX_QUEUE_KB = 1e12
_USUAL_QUEUE_KB = 256
_LONGEST_ABOUT = 500
_LONGEST_QUOTE = 40
_MOST_MEGABITS, _LATEST_SECOND = 1e6, 1e7
_MEGABIT = 1e6

_CAPACITY_KEYS = {"rate", "log_mean", "log_sd", "correlation", "most", "outages", "mahimahi", "csv"}


@lru_cache(maxsize=1)
def shipped_networks() -> dict[str, NetworkProfile]:
    """Return the networks that come with the package, by name."""
    return read_networks(_SHIPPED)


def read_networks(path: Path) -> dict[str, NetworkProfile]:
    """Return the network profiles in a YAML file, by name. Raises UsageError, which names file, line and key,
    if the file is wrong or describes no networks."""
    reader = NetworkReader(str(path), path.parent)
    root = reader.parse_root(read_yaml_bytes(path))
    if root is None:
        raise UsageError(f"{path}:1: the file is empty: networks is needed")
    node_by_key = reader.mapping(root, "the file", {"networks"})
    if "networks" not in node_by_key:
        raise reader.error(root, "networks is missing")
    return reader.read_all(node_by_key["networks"])


class NetworkReader(YamlFile):
    """Reads the networks of one file. Traces lie in `folder` or below it. Every method raises UsageError with
    place, line and key."""

    def __init__(self, place: str, folder: Path) -> None:
        """Begin to read a network file. Errors name the file by `place`; the traces that it names must be in
        `folder` or below."""
        super().__init__(place)
        self._folder = folder

    def read_all(self, node: Node) -> dict[str, NetworkProfile]:
        """Return all network profiles under the node `networks` of a network file, by name. Raises UsageError
        if there are too many, or if one has a bad name or is wrong."""
        items = self.items(node, "networks")
        if len(items) > MAX_PROFILES:
            raise self.error(node, f"networks: more than {MAX_PROFILES}")
        for name, (key_node, _) in items.items():
            if not _NETWORK_NAME.fullmatch(name):
                raise self.error(
                    key_node, f"{quote_short(name)} is not a name: small letters, digits and -, 48 at most"
                )
        return {name: self.read_network(name, value_node) for name, (_, value_node) in items.items()}

    def read_network(self, name: str, node: Node) -> NetworkProfile:
        """Read one network of a network file from its node, and return its profile. `rtt` and `down`
        must be there; if the upward link `up` is missing, it is like `down`. Raises UsageError if a key is
        missing, wrong or unknown."""
        node_by_key = self.mapping(node, name, {"about", "down", "up", "rtt", "loss", "queue"})
        for key in ("down", "rtt"):
            if key not in node_by_key:
                raise self.error(node, f"{name}: {key} is missing")
        down = self._read_capacity(node_by_key["down"], "down")
        up = self._read_capacity(node_by_key["up"], "up") if "up" in node_by_key else down
        round_trip = self._read_round_trip(node_by_key["rtt"])
        about = self.text(node_by_key["about"], "about")[:_LONGEST_ABOUT] if "about" in node_by_key else ""
        loss = self.number(node_by_key["loss"], "loss") if "loss" in node_by_key else 0.0
        # Too large a number stays finite, and is refused with the network's other bounds.
        queue_kb = self.number(node_by_key["queue"], "queue") if "queue" in node_by_key else _USUAL_QUEUE_KB
        queue_bytes = round(1024 * max(-1.0, min(queue_kb, _MAX_QUEUE_KB)))
        return self.build(
            node, lambda: NetworkProfile(name, about, down, up, round_trip, loss, queue_bytes), name
        )

    def _read_round_trip(self, node: Node) -> RoundTrip:
        """Read `rtt` of a network file: the median and the 90th percentile of the round-trip time in
        milliseconds. Return both in seconds; a missing p90 is like p50. Raises UsageError if p50 is missing
        or a value is bad."""
        node_by_key = self.mapping(node, "rtt", {"p50", "p90"})
        if "p50" not in node_by_key:
            raise self.error(node, "rtt: p50 is missing")
        p50_seconds = self.number(node_by_key["p50"], "rtt.p50") / 1000
        p90_seconds = (
            self.number(node_by_key["p90"], "rtt.p90") / 1000 if "p90" in node_by_key else p50_seconds
        )
        return self.build(node, lambda: RoundTrip(p50_seconds, p90_seconds), "rtt")

    def _read_capacity(self, node: Node, key: str) -> CapacityProcess:
        """Read `down` or `up` (this is `key`) of a network file, and return how much the link carries over
        time: a constant rate, a random log-normal rate, or measured rates from another file. Raises
        UsageError if there is not exactly one of these, or if a key does not belong to it."""
        node_by_key = self.mapping(node, key, _CAPACITY_KEYS)
        kinds = [kind for kind in ("rate", "log_mean", "mahimahi", "csv") if kind in node_by_key]
        if len(kinds) != 1:
            raise self.error(node, f"{key}: one of rate, log_mean, mahimahi and csv is needed")
        kind = kinds[0]
        allowed = {"log_mean", "log_sd", "correlation", "most", "outages"} if kind == "log_mean" else {kind}
        for other_key, other_node in node_by_key.items():
            if other_key not in allowed:
                raise self.error(other_node, f"{key}: {other_key} does not go with {kind}")
        kind_node = node_by_key[kind]
        if kind == "rate":
            rate = self.number(kind_node, f"{key}.rate") * _MEGABIT
            return self.build(kind_node, lambda: ConstantRate(rate), f"{key}.rate")
        if kind == "log_mean":
            return self._read_log_normal(node, node_by_key, key)
        path = self._read_rates_path(kind_node, f"{key}.{kind}")
        return self.build(kind_node, lambda: read_rate_trace(path, kind), f"{key}.{kind}")

    def _read_log_normal(self, node: Node, node_by_key: dict[str, Node], key: str) -> CapacityProcess:
        """Return a log-normal rate of a network file, with its outages if there are any. `node_by_key` holds
        the parts of the mapping `node`, which stands under `key`. Raises UsageError if a part is missing or
        bad."""
        for needed_key in ("log_sd", "correlation"):
            if needed_key not in node_by_key:
                raise self.error(node, f"{key}: {needed_key} is missing")
        numbers = {
            name: self.number(node_by_key[name], f"{key}.{name}")
            for name in ("log_mean", "log_sd", "correlation", "most")
            if name in node_by_key
        }
        outages = self._read_outages(node_by_key["outages"]) if "outages" in node_by_key else None
        return self.build(node, lambda: LogNormalRate(**numbers, outages=outages), key)

    def _read_outages(self, node: Node) -> Outages:
        """Return the outages of a link in a network file: how many come per minute, and how long they last.
        Raises UsageError if a value is missing or bad."""
        keys = ("per_minute", "mean", "p95", "longest")
        node_by_key = self.mapping(node, "outages", keys)
        for key in keys:
            if key not in node_by_key:
                raise self.error(node, f"outages: {key} is missing")
        numbers = {key: self.number(node_by_key[key], f"outages.{key}") for key in keys}
        return self.build(node, lambda: Outages(**numbers), "outages")

    def _read_rates_path(self, node: Node, key: str) -> Path:
        """Return the path of the file with measured rates that a network file names under `key`. Raises
        UsageError if the path lies outside the folder of the network file, or is no path at all."""
        file_name = self.text(node, key)
        try:
            path = (self._folder / file_name).resolve()
        except (OSError, ValueError) as error:
            raise self.error(node, f"{key}: {quote_short(file_name)} is not a path") from error
        if not path.is_relative_to(self._folder.resolve()):
            raise self.error(
                node, f"{key}: {quote_short(file_name)} lies outside the folder of this file: copy it there"
            )
        return path


def read_rate_trace(path: Path, kind: str) -> RateTrace:
    """Return the measured rates of a network in a file. `kind`: `mahimahi` (each line the milliseconds at
    which 1500 bytes may pass) or `csv` (each line seconds and Mbit/s, the rate from then on). Raises
    UsageError, which names the line."""
    return _import_mahimahi(path) if kind == "mahimahi" else _import_csv(path)


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a rate trace (a file with the measured rates of a network), each as line number and
    text. Empty lines and comments are left out, but counted. Raises UsageError if the file or a line is too
    long, or if the file cannot be read."""
    try:
        if path.stat().st_size > MAX_RATE_TRACE_BYTES:
            raise UsageError(f"{path}:1: larger than {MAX_RATE_TRACE_BYTES} bytes: cut it")
        with path.open(encoding="utf-8", errors="replace") as file:
            line_number = 0
            while line := file.readline(_MAX_LINE):
                line_number += 1
                if len(line) == _MAX_LINE:
                    raise UsageError(f"{path}:{line_number}: the line is too long for a trace")
                text = line.strip()
                if text and not text.startswith("#"):
                    yield line_number, text
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _import_mahimahi(path: Path) -> RateTrace:
    """Return the rate of a network in each step of 50 ms, from a trace file of the tool Mahimahi. Each line
    is the time in ms at which one packet could be sent. Raises UsageError, which names the line, if the file
    is no such trace."""
    packet_counts: list[int] = []
    previous_ms = line_number = 0
    for line_number, text in _read_lines(path):
        place = f"{path}:{line_number}"
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise UsageError(f"{place}: {text[:_LONGEST_QUOTE]!r} is not a time in whole milliseconds")
        at_ms = int(text)
        if at_ms < previous_ms:
            raise UsageError(f"{place}: {at_ms} ms lies before {previous_ms} ms: a trace goes forward")
        previous_ms = at_ms
        # A packet at the very end of a step still belongs to it: Mahimahi's times are ends.
        step = max(0, at_ms - 1) // _MAHIMAHI_STEP_MS
        if step >= MAX_TRACE_STEPS:
            raise UsageError(f"{place}: longer than {MAX_TRACE_STEPS * _MAHIMAHI_STEP_MS // 1000} s: cut it")
        packet_counts.extend([0] * (step + 1 - len(packet_counts)))
        packet_counts[step] += 1
    if previous_ms == 0:
        raise UsageError(f"{path}:{line_number or 1}: the trace never delivers: a time above 0 ms is needed")
    step_seconds = _MAHIMAHI_STEP_MS / 1000
    rates = tuple(count * MAHIMAHI_PACKET_BITS / step_seconds for count in packet_counts)
    step_begins = tuple(index * step_seconds for index in range(len(rates)))
    return RateTrace(step_begins, rates, len(rates) * step_seconds)


def _import_csv(path: Path) -> RateTrace:
    """Return the measured rates of a network in a CSV file with seconds and Mbit/s. A first line that is not
    a number is the header. The last rate lasts as long as the rate before it. Raises UsageError, which names
    the line, if the file holds no such rates."""
    times: list[float] = []
    rates: list[float] = []
    for number, text in _read_lines(path):
        cells = [cell.strip() for cell in text.split(",")]
        try:
            at_seconds, rate = (float(cell) for cell in cells)
        except ValueError:
            if not times and re.match(r"[A-Za-z_\"]", text):
                continue
            raise UsageError(f"{path}:{number}: {text[:_LONGEST_QUOTE]!r} is not `seconds,Mbit/s`") from None
        if not 0 <= rate <= _MOST_MEGABITS:
            raise UsageError(f"{path}:{number}: the rate must lie between 0 and 1000000 Mbit/s")
        if not 0 <= at_seconds <= _LATEST_SECOND or (times and at_seconds <= times[-1]):
            raise UsageError(
                f"{path}:{number}: the times must rise from line to line, and begin at 0 or later"
            )
        if len(times) >= MAX_TRACE_STEPS:
            raise UsageError(f"{path}:{number}: more than {MAX_TRACE_STEPS} lines: cut it")
        times.append(at_seconds)
        rates.append(rate * _MEGABIT)
    if len(times) < 2:
        raise UsageError(f"{path}:1: a trace needs two lines of `seconds,Mbit/s` at least")
    if not any(rates):
        raise UsageError(f"{path}:1: the trace never delivers: a rate above 0 is needed")
    begin = times[0]
    period = times[-1] - begin + (times[-1] - times[-2])
    return RateTrace(tuple(at - begin for at in times), tuple(rates), period)
