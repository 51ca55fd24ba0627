"""`serve` looks at the signatures of Agora's tokens if it is given the certificate, which no text repeats."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import pytest

from spatius_sim.net.client.server_sdk import UpstreamClient
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import (
    AgoraEgress,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Message,
    ServerError,
)
from spatius_sim.tests.protocol.test_agora_token import ALL, CERTIFICATE, CHANNEL, MAKERS, UID
from spatius_sim.trace.events import Undecodable
from spatius_sim.trace.read_frames import read_upstream

SECONDS = 60


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Run `spatius-sim serve` in a process of its own: what it says when it is ready, and, afterwards, all
    that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spatius_sim", "serve", "--port=0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    printed: list[str] = []
    try:
        assert process.stdout is not None
        printed.append(process.stdout.readline())
        yield json.loads(printed[0]), printed
    finally:
        process.terminate()
        printed += process.communicate(timeout=SECONDS)


async def answer_to(endpoints: dict[str, str], token: str) -> Message | Undecodable:
    """The first answer of the server to a session with this Agora token."""
    client = UpstreamClient(
        endpoints["SPATIUS_CONSOLE_ENDPOINT"],
        endpoints["SPATIUS_INGRESS_ENDPOINT"],
        api_key="any",
        app_id="sim-app",
        avatar_id="sim-avatar",
        expire_at=int(time.time()) + 600,
    )
    egress = AgoraEgress(CHANNEL, token=token, uid=int(UID))
    async with asyncio.timeout(SECONDS), client:
        asked = ConfigureSession(16_000, egress_type=EgressType.AGORA, agora_egress=egress)
        await client.send(encode(asked))
        return read_upstream(await anext(client.frames()))


@pytest.mark.parametrize("in_environment", [True, False], ids=["environment", "option"])
def test_serve_lets_in_whom_the_certificate_signed(
    in_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tokens of the tests are signed at another time; here they must hold now.
    monkeypatch.setattr("spatius_sim.tests.protocol.test_agora_token.NOW", int(time.time()) - 10)
    arguments = [] if in_environment else [f"--agora-certificate={CERTIFICATE}"]
    environment = {"AGORA_APP_CERTIFICATE": CERTIFICATE if in_environment else ""}
    with serving(*arguments, **environment) as (ready, printed):
        for version, make in MAKERS.items():
            signed = make(ALL)
            forged = _signed_by_another(version)
            answer = asyncio.run(answer_to(ready["environment"], signed))
            assert isinstance(answer, ConfirmSession), answer
            answer = asyncio.run(answer_to(ready["environment"], forged))
            assert isinstance(answer, ServerError)
            assert answer.code == 16
            assert (
                answer.message == "unauthorized: the Agora token is not signed by the certificate of the app"
            )
            for secret in (CERTIFICATE, signed, forged):
                assert secret not in answer.message
        with urlopen(f"{ready['control']}/sessions", timeout=SECONDS) as told:
            printed.append(told.read().decode())
    assert CERTIFICATE not in "".join(printed)


def _signed_by_another(version: str) -> str:
    """A token of this version that another certificate signed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spatius_sim.tests.protocol.test_agora_token.CERTIFICATE", "d" * 32)
        return MAKERS[version](ALL)


def test_the_help_names_the_variable_and_never_its_value() -> None:
    command = [sys.executable, "-m", "spatius_sim", "serve"]
    environment = os.environ | {"AGORA_APP_CERTIFICATE": CERTIFICATE, "COLUMNS": "120"}
    for arguments in (["--help"], ["--port=many"]):
        ran = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=SECONDS, env=environment
        )
        assert CERTIFICATE not in ran.stdout + ran.stderr
    assert (
        "AGORA_APP_CERTIFICATE"
        in subprocess.run(
            [*command, "--help"], capture_output=True, text=True, timeout=SECONDS, env=environment
        ).stdout
    )
