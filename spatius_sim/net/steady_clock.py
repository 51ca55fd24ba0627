"""A unix clock that nobody sets while we run."""

import time


class SteadyClock:
    """Starts at this machine's unix time (`started`), and goes on as its monotonic clock does: no correction
    by NTP or by a person moves it."""

    def __init__(self) -> None:
        """Start the steady clock at the unix time of this machine."""
        self.started = time.time()
        self._offset = self.started - time.monotonic()

    def now(self) -> float:
        """Return the unix time in seconds, as if nobody had set the machine's clock since the start."""
        return time.monotonic() + self._offset

    def machine_ahead(self) -> float:
        """Return by how many seconds the machine's clock is ahead of this steady clock; negative if it is
        behind."""
        return time.time() - self.now()
