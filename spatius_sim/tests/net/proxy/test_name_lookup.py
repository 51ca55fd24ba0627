"""Look-ups of hosts: shared while they run, told as OSError, and nobody waits for one in vain."""

import asyncio
import socket

import pytest

from spatius_sim.net.proxy.name_lookup import NameLookup


async def test_a_host_has_addresses_and_an_address_is_its_own() -> None:
    lookup = NameLookup()
    assert await lookup.look_up_addresses("127.0.0.1") == ["127.0.0.1"]
    assert set(await lookup.look_up_addresses("localhost")) <= {"127.0.0.1", "::1"}


async def test_callers_at_the_same_time_share_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def look(name: str, *arguments: object, **more: object) -> list[object]:
        asked.append(name)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look)
    lookup = NameLookup()
    await asyncio.gather(*(lookup.look_up_addresses("a.example") for _ in range(5)))
    assert asked == ["a.example"]
    await lookup.look_up_addresses("a.example")
    assert asked == ["a.example"] * 2


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "nowhere.invalid"])
async def test_what_cannot_be_found_is_an_os_error(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(name: str, *arguments: object, **more: object) -> list[object]:
        name.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    with pytest.raises(OSError, match=r"not known|not a name of a host"):
        await NameLookup().look_up_addresses(host)
