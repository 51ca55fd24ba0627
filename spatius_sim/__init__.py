"""Protocol simulator and conformance test kit for Spatius Motion Server relays and clients.

What is imported from here is what others may rely on; nothing is loaded before it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatius_sim.mock_server.mock_motion_server import MotionServer
    from spatius_sim.mock_server.run_in_thread import RunningMotionServer
    from spatius_sim.plans import strategies
    from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError, UsageError
    from spatius_sim.subjects.python_shim import serve_stdio, serve_websocket

__version__ = "0.1.0"

__all__ = [
    "MotionServer",
    "RunningMotionServer",
    "SpatiusSimError",
    "UnreachableError",
    "UsageError",
    "serve_stdio",
    "serve_websocket",
    "strategies",
]

_HOMES = {
    "MotionServer": "spatius_sim.mock_server.mock_motion_server",
    "RunningMotionServer": "spatius_sim.mock_server.run_in_thread",
    "SpatiusSimError": "spatius_sim.protocol.errors",
    "UnreachableError": "spatius_sim.protocol.errors",
    "UsageError": "spatius_sim.protocol.errors",
    "serve_stdio": "spatius_sim.subjects.python_shim",
    "serve_websocket": "spatius_sim.subjects.python_shim",
    "strategies": "spatius_sim.plans",
}
"""The module in which each name is at home."""


def __getattr__(name: str) -> Any:
    """Import what is asked for. Raises AttributeError if nothing of that name is public."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    return import_module(f"{home}.{name}") if name == "strategies" else getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
