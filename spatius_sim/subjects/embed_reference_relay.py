"""Embeds the reference relay in the kit's process. It is judged if the user names no relay."""

from websockets.asyncio.server import Server

from spatius_sim.files.find_resources import resource
from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.errors import UsageError


async def embed_reference_relay(motion_server: SocketMotionServer, api_key: str, port: int = 0) -> Server:
    """Embed the reference relay in this process: start it on a port of 127.0.0.1 (0: any free port), and
    return its server. The relay uses `motion_server`, with this API key. Raises UsageError if a package that
    the relay needs is not installed."""
    try:
        from spatius_sim.subjects.reference_relay import RelaySettings, serve_relay
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the reference relay needs {error.name}: pip install 'spatius>=1.1.1,<2'"
        ) from error
    settings = RelaySettings(
        motion_server.console_endpoint,
        motion_server.ingress_endpoint,
        api_key,
        APP_ID,
        AVATAR_ID,
        clips=resource("fixtures") / "speech",
    )
    return await serve_relay(settings, host=LOOPBACK, port=port)


def relay_url(relay: Server) -> str:
    """Return the WebSocket URL where clients connect to the embedded reference relay."""
    port = next(iter(relay.sockets)).getsockname()[1]
    return f"ws://{LOOPBACK}:{port}/ws/agent"
