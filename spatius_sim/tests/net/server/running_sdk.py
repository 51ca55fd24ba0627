"""Runs a published Server SDK in a process of its own: two generations cannot load in one."""

import asyncio
import json
import sys
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

from spatius_sim.net.server.socket_motion_server import SocketMotionServer

_LIFE = Path(__file__).with_name("sdk_life.py")


class SdkEndedError(Exception):
    """The SDK's process ended before its life was whole; the text is its stderr."""


@dataclass(frozen=True)
class Life:
    connection_id: str
    req_ids: list[str]
    payloads: list[bytes]
    errors: list[str]
    closed: bool


async def live(
    server: SocketMotionServer,
    turns: list[bytes],
    *,
    sdk: str = "spatius",
    query_auth: bool = False,
    chunk: int = 6400,
    sample_rate: int = 16000,
    avatar_id: str = "sim-avatar",
    python: str = sys.executable,
) -> Life:
    """init, start, send_audio in chunks, all frames, close. Raises SdkEndedError if that fails."""
    job = {
        "sdk": sdk,
        "console": server.console_endpoint,
        "ingress": server.ingress_endpoint,
        "query_auth": query_auth,
        "chunk": chunk,
        "turns": [b64encode(turn).decode() for turn in turns],
        "sample_rate": sample_rate,
        "avatar_id": avatar_id,
    }
    process = await asyncio.create_subprocess_exec(
        python,
        str(_LIFE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await asyncio.wait_for(process.communicate(json.dumps(job).encode()), 60)
    if process.returncode:
        raise SdkEndedError(complaints.decode())
    lived = json.loads(printed)
    return Life(**lived | {"payloads": [b64decode(payload) for payload in lived["payloads"]]})
