"""Protocol simulator and conformance test kit for Spatius Motion Server relays and clients."""

__version__ = "0.1.0"
