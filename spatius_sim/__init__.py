"""Protocol simulator and conformance test kit for Spatius Motion Server relays and clients.

What is imported from here is what others may rely on; nothing is loaded before it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatius_sim.mock_server.mock_motion_server import MotionServer
    from spatius_sim.mock_server.run_in_thread import RunningMotionServer
    from spatius_sim.plans import hypothesis_strategies as strategies
    from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError, UsageError
    from spatius_sim.subjects.client_shim import serve_stdio, serve_websocket

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

_MODULE_BY_NAME = {
    "MotionServer": "spatius_sim.mock_server.mock_motion_server",
    "RunningMotionServer": "spatius_sim.mock_server.run_in_thread",
    "SpatiusSimError": "spatius_sim.protocol.errors",
    "UnreachableError": "spatius_sim.protocol.errors",
    "UsageError": "spatius_sim.protocol.errors",
    "serve_stdio": "spatius_sim.subjects.client_shim",
    "serve_websocket": "spatius_sim.subjects.client_shim",
    "strategies": "spatius_sim.plans.hypothesis_strategies",
}
"""The module that defines each exported name."""


def __getattr__(name: str) -> Any:
    """Return what the package exports under this name, such as the class `MotionServer`. Its module is
    imported only now, so that `import spatius_sim` stays fast. Raises AttributeError if the package exports
    nothing under this name."""
    if name not in _MODULE_BY_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULE_BY_NAME[name])
    return module if name == "strategies" else getattr(module, name)  # `strategies` is itself a module.


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
