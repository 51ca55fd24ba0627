"""Makes mistakes on purpose, which a Motion Server under test has to refuse: the kit gives a wrong key, token
or avatar, or sends a wrong frame."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlsplit

from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE
from spatius_sim.plans.server_probes import UpgradeProbe
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import UpgradeRefusedError, session_token_in
from spatius_sim.protocol.messages import AudioInput, ConfigureSession
from spatius_sim.subjects.server_sessions import (
    TOKEN_LIFE_SECONDS,
    ServerAddress,
    ServerSessions,
    make_plain_turn,
)
from spatius_sim.subjects.subject_base import canary_key
from spatius_sim.subjects.wait_for_events import loop_time
from spatius_sim.trace.events import Lane, Opened, Provocation, Provoked, Refused, TokenRequested

_SHORT_TOKEN_LIFE_SECONDS = 2
_AFTER_EXPIRY_SECONDS = 0.5

_CLOCKS_DIFFER_SECONDS = 10.0
"""How much longer a token may live if the server's clock differs from this machine's."""

UNKNOWN_KEY_SEED = -1
"""No run has this seed, so no server knows the key that is made from it."""

_UNSUPPORTED_RATE = 11025
_WRONG_FIRST_FRAMES: dict[Provocation, str | bytes] = {
    Provocation.WRONG_MESSAGE: encode(AudioInput("too-early", bytes(320))),
    Provocation.TEXT: "hello",
    Provocation.UNDECODABLE: b"\xff" * 16,
    Provocation.UNSUPPORTED_RATE: encode(ConfigureSession(_UNSUPPORTED_RATE)),
}


class ServerMistakes(ServerSessions):
    """Makes each mistake on purpose that a Motion Server under test has to refuse, and records its answer."""

    async def _request_token(
        self, session_name: str, life_seconds: int, mistake: Provocation | None = None
    ) -> str:
        """Ask the Motion Server under test for a session token that is valid for `life_seconds`, and make
        this `mistake` on purpose: send a made-up key or no key (None: send the right key). Record request and
        answer. Return the token, or "" if the server issued none. Only probes use this; for an ordinary
        session, `_fetch_token` asks for the token."""
        key = self._address.api_key
        if mistake is not None:
            key = canary_key(UNKNOWN_KEY_SEED) if mistake is Provocation.WRONG_KEY else ""
            self._recorder.emit(Lane.KIT, session_name, Provoked(mistake))
        now, expire_at = self._access.unix_time(), self._unix_time_in(life_seconds)
        answer = await self._access.ask_for_token(key, expire_at)
        token = session_token_in(answer) if answer.status == HTTPStatus.OK else ""
        key_reference = self._recorder.secret_reference("key", key)
        token_reference = self._recorder.secret_reference("token", token)
        request = TokenRequested(key_reference, expire_at, now, answer.status, token_reference)
        self._recorder.emit(Lane.CONSOLE, session_name, request)
        if not token:
            self._recorder.emit(Lane.CONSOLE, session_name, Refused(answer.status, answer.body))
        return token

    async def _run_upgrade_probe(self, session_name: str, probe: UpgradeProbe) -> None:
        """Try to open a session with the Motion Server under test with an invented token, without a token, or
        with an unknown avatar, as the probe says. Record whether the server accepts or refuses this."""
        token = {
            Provocation.INVENTED_TOKEN: f"invented-{canary_key(UNKNOWN_KEY_SEED)}",
            Provocation.MISSING_TOKEN: "",
        }.get(probe.intent)
        if token is None:
            token = await self._request_token(f"{session_name}-token", TOKEN_LIFE_SECONDS)
        is_avatar_unknown = probe.intent is Provocation.UNKNOWN_AVATAR
        avatar_id = "missing-avatar" if is_avatar_unknown else self._address.avatar_id
        address = replace(self._address, avatar_id=avatar_id)
        await self._try_wrong_upgrade(
            session_name, address, token, probe.intent, token_in_query=probe.token_in_query
        )

    async def _try_wrong_upgrade(
        self,
        session_name: str,
        address: ServerAddress,
        token: str,
        mistake: Provocation,
        *,
        token_in_query: bool = False,
    ) -> None:
        """Try to open a session with the Motion Server under test, and make this `mistake` on purpose:
        `token` or the avatar of `address` is wrong. Record whether the server accepts or refuses the upgrade
        to WebSocket."""
        self._recorder.emit(Lane.KIT, session_name, Provoked(mistake))
        try:
            async with self._access.open_session(
                token, address.app_id, address.avatar_id, token_in_query=token_in_query
            ):
                self._recorder.emit(
                    Lane.UPSTREAM, session_name, Opened("", address.app_id, address.avatar_id)
                )
        except UpgradeRefusedError as error:
            answer = error.answer
            self._recorder.emit(Lane.UPSTREAM, session_name, Refused(answer.status, answer.body))

    async def _send_wrong_first_frame(self, session_name: str, mistake: Provocation) -> None:
        """Open a session with the Motion Server under test, send a first frame with this mistake, and wait
        for the answer. If the answer is an error, wait also until the server closes the session."""
        self._recorder.emit(Lane.KIT, session_name, Provoked(mistake))
        try:
            async with self._open_session() as session, self._record_session(session_name, session):
                await self._send_first_frame(session_name, session, _WRONG_FIRST_FRAMES[mistake])
        except UpgradeRefusedError as error:
            self._record_refusal(session_name, error)

    async def _speak_after_token_expired(self, session_name: str, sample_count: int) -> None:
        """Open a session with the Motion Server under test, wait until its token has expired, and speak a
        turn. Then try to open other sessions with this token, while its session is open and afterwards, and
        with an expired token that was never used. Stop early if the server issues no token or does not
        confirm the session."""
        address = self._address
        session_token, unused_token = [
            await self._request_token(f"{session_name}-token", _SHORT_TOKEN_LIFE_SECONDS) for _ in range(2)
        ]
        clock_difference = 0.0 if urlsplit(address.console).hostname == LOOPBACK else _CLOCKS_DIFFER_SECONDS
        surely_expired_at = loop_time() + _SHORT_TOKEN_LIFE_SECONDS + _AFTER_EXPIRY_SECONDS + clock_difference
        if not (session_token and unused_token):
            return
        used = Provocation.USED_TOKEN
        try:
            async with (
                self._access.open_session(session_token, address.app_id, address.avatar_id) as session,
                self._record_session(session_name, session),
            ):
                configuration = ConfigureSession(PLAN_SAMPLE_RATE)
                if not await self._configure_session(session_name, session, configuration):
                    return
                await asyncio.sleep(surely_expired_at - loop_time())
                self._recorder.emit(Lane.KIT, session_name, Provoked(Provocation.OUTLIVED_TOKEN))
                await self._speak_turn(session_name, session, 0, make_plain_turn(sample_count))
                await self._try_wrong_upgrade(f"{session_name}-beside", address, session_token, used)
        except UpgradeRefusedError as error:
            self._record_refusal(session_name, error)
            return
        for token, mistake in ((unused_token, Provocation.EXPIRED_TOKEN), (session_token, used)):
            for place, in_query in (("headers", False), ("query", True)):
                attempt_name = f"{session_name}-{mistake}-{place}"
                await self._try_wrong_upgrade(attempt_name, address, token, mistake, token_in_query=in_query)
