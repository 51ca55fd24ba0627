"""Starts a turn if the relay chooses the speech: by a message, by an HTTP request, or by a hook."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.wires import Wire
from spatius_sim.wires.events import ClientAction, PlayClip, Say

CLIENT_AUDIO_START = "client-audio"
_REQUEST_SECONDS = 10.0
_HOOK_SECONDS = 30.0
_ANSWER_BYTES_SHOWN = 200
_FIRST_STATUS_OF_FAILURE = 300


@dataclass(frozen=True, slots=True)
class TurnToStart:
    """The turn that a hook must start: turn `number` (0, 1, ...) of this `client`.

    `session_id` is what the relay gave the client, or "". The hook may hand `pcm` to the relay: speech, mono
    s16le at `sample_rate` Hz. The rules judge the audio that the relay sends to Motion Server."""

    client: str
    number: int
    session_id: str
    pcm: bytes
    sample_rate: int


class TurnStart(Protocol):
    """Starts a turn if the relay chooses the speech."""

    async def start(self, client: RelayClient, turn: TurnToStart) -> None:
        """Start the turn. Raises UnreachableError if that fails."""


Hook = Callable[[TurnToStart], object]


@dataclass(frozen=True, slots=True)
class StartByMessage:
    """Starts a turn by a message of the wire."""

    action: ClientAction

    async def start(self, client: RelayClient, turn: TurnToStart) -> None:
        """Start a turn: send the message of the wire that asks the relay for speech."""
        await client.do(self.action)


@dataclass(frozen=True, slots=True)
class StartByHttp:
    """Starts a turn by an HTTP POST without a body; `{session}` in the URL stands for the session id."""

    url: str

    async def start(self, client: RelayClient, turn: TurnToStart) -> None:
        """Start a turn by an HTTP POST request to the relay, without a body. `{session}` in the URL is
        replaced by the session id. Raises UnreachableError if no answer comes or its status is 300 or
        more."""
        url = self.url.replace("{session}", turn.session_id)
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(url, allow_redirects=False) as answer,
            ):
                body = await answer.content.read(_ANSWER_BYTES_SHOWN)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise UnreachableError(f"the request that starts a turn failed: {url}: {error!r}") from error
        if answer.status >= _FIRST_STATUS_OF_FAILURE:
            text = body.decode(errors="replace")
            raise UnreachableError(
                f"the request that starts a turn failed: {url}: HTTP {answer.status} {text}"
            )


@dataclass(frozen=True, slots=True)
class StartByHook:
    """Starts a turn by calling a function of the relay's team, in a thread."""

    hook: Hook

    async def start(self, client: RelayClient, turn: TurnToStart) -> None:
        """Start a turn of the relay under test in one of several ways: call the hook
        `pytest_spatius_start_turn`, which the relay's team wrote, in a thread. The client itself sends
        nothing, unlike in the other ways. Raises UnreachableError if the call takes more than 30 s, and
        UsageError if the hook raises an exception."""
        try:
            await asyncio.wait_for(asyncio.to_thread(self.hook, turn), _HOOK_SECONDS)
        except TimeoutError:
            raise UnreachableError(
                f"the hook that starts a turn took more than {_HOOK_SECONDS:.0f} s"
            ) from None
        except Exception as error:
            raise UsageError(f"pytest_spatius_start_turn raised {error!r}") from error


def read_turn_start(option: str, hook: Hook | None) -> TurnStart | None:
    """Read `option`, the value of `--turn`, and return the object that starts each turn of the relay under
    test: by a message, an HTTP request or the hook. None if a client starts its turns by its own speech.
    Raises UsageError if the value is unknown, or if it is "hook" and there is no hook."""
    start_kind, _, argument = option.partition(":")
    match start_kind:
        case "client-audio" if not argument:
            return None
        case "clip" if argument:
            return StartByMessage(PlayClip(argument))
        case "text" if argument:
            return StartByMessage(Say(argument))
        case "http" if argument.startswith(("http://", "https://")):
            return StartByHttp(argument)
        case "hook" if not argument:
            if hook is None:
                raise UsageError("--turn hook: no conftest.py defines pytest_spatius_start_turn")
            return StartByHook(hook)
    raise UsageError(
        f"--turn {option}: client-audio, clip:NAME, text:WORDS, hook or http:URL is needed; a URL begins "
        "with http:// or https://"
    )


def check_sayable(start: TurnStart | None, wire: Wire) -> None:
    """Raise UsageError if the wire has no message that can start a turn in this way."""
    if isinstance(start, StartByMessage) and not wire.write_client_action(start.action):
        action_name = type(start.action).__name__
        raise UsageError(f"--turn: the wire {wire.name} has no message for it ({action_name})")
