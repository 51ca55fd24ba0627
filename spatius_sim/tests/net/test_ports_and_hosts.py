"""Where a server listens: at 127.0.0.1, or where its user says, with a warning."""

import errno
import socket
from collections.abc import Iterator

import aiohttp
import pytest

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.net.ports_and_hosts import describe_exposure, host_for_urls, is_loopback_address
from spatius_sim.net.proxy.proxy import RecordingProxy
from spatius_sim.net.report_out_of_descriptors import ExhaustionHandler
from spatius_sim.protocol.errors import UsageError


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.2", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("relay.example", False),
    ],
)
def test_which_addresses_reach_this_machine_alone(address: str, here: bool) -> None:
    assert is_loopback_address(address) is here
    assert bool(describe_exposure(address, 8700)) is not here


def test_the_name_in_urls() -> None:
    names = {host: host_for_urls(host) for host in ("127.0.0.1", "0.0.0.0", "::", "::1", "10.0.0.7")}
    assert names == {
        "127.0.0.1": "127.0.0.1",
        "0.0.0.0": "127.0.0.1",
        "::": "127.0.0.1",
        "::1": "[::1]",
        "10.0.0.7": "10.0.0.7",
    }


def test_the_warning_says_who_comes_in_and_how_a_container_finds_us() -> None:
    warning, container = describe_exposure("0.0.0.0", 8700)
    assert "8700" in warning
    assert "host.docker.internal" in container


async def test_an_address_of_another_machine_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="not an address of this machine"):
        async with MotionServer(host="192.0.2.1"):
            pass
    with pytest.raises(UsageError, match="not an address of this machine"):
        async with RecordingProxy(("http://127.0.0.1:1",), print, host="192.0.2.1"):
            pass


def _own_addresses() -> Iterator[str]:
    """Yield the addresses of this machine, if any, that are not those of the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # A datagram socket sends nothing by this.
        except OSError:
            return
        yield probe.getsockname()[0]


async def test_every_address_serves_and_the_control_interface_answers_this_machine_alone() -> None:
    async with MotionServer(host="0.0.0.0") as server, aiohttp.ClientSession() as session:
        async with session.get(f"{server.control_endpoint}/sessions") as answer:
            assert answer.status == 200
        for address in _own_addresses():
            outside = f"http://{address}:{server.port}"
            async with session.post(f"{outside}/v1/console/session-tokens", json={}) as answer:
                assert answer.status in (400, 401)
            forged = {"Host": f"127.0.0.1:{server.port}"}
            async with session.get(f"{outside}/_sim/sessions", headers=forged) as answer:
                assert answer.status == 403


class Loop:
    """An event loop, as far as an exception handler asks for it."""

    def __init__(self) -> None:
        self.now, self.told = 0.0, list[dict[str, object]]()

    def time(self) -> float:
        return self.now

    def default_exception_handler(self, context: dict[str, object]) -> None:
        self.told.append(context)


def test_descriptors_that_are_exhausted_are_told_once_a_second() -> None:
    said: list[str] = []
    loop, handler = Loop(), ExhaustionHandler(said.append)
    for at in (5.0, 5.1, 5.9, 6.0):
        loop.now = at
        handler(loop, {"exception": OSError(errno.EMFILE, "Too many open files")})  # type: ignore[arg-type]
    other = {"exception": ValueError()}
    handler(loop, other)  # type: ignore[arg-type]
    assert len(said) == 2
    assert "Too many open files; `ulimit -n`" in said[0]
    assert loop.told == [other]
