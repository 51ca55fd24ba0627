"""The mock Motion Server as a library: the published Server SDK runs out of credits in mid-sentence."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import spatius

from spatius_sim import MotionServer


async def main() -> str:
    spatius.configure_telemetry("")  # the SDK reports to its vendor otherwise
    met: asyncio.Queue[Exception] = asyncio.Queue()
    async with MotionServer(scenario="credits-exhausted") as server:
        session = spatius.new_avatar_session(
            console_endpoint_url=server.console_endpoint,
            ingress_endpoint_url=server.ingress_endpoint,
            api_key="any-key-will-do",
            app_id="sim-app",
            avatar_id="sim-avatar",
            expire_at=datetime.now(UTC) + timedelta(minutes=5),
            sample_rate=16000,
            on_error=met.put_nowait,
        )
        async with session:
            for _ in range(30):
                await session.send_audio(bytes(3200))  # 0.1 s of silence at 16 kHz
            error = await asyncio.wait_for(met.get(), 10)
    return str(error)


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(main()) + "\n")
