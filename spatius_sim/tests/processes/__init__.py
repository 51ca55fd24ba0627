"""Programs that tests start: relays and testees, most of them bad."""

from pathlib import Path

PROCESSES = Path(__file__).parent
