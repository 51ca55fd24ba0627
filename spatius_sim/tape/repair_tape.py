"""Repairs a damaged tape: writes what is whole to a new tape."""

from dataclasses import dataclass, replace
from pathlib import Path

from spatius_sim.tape.reader import TapeReader, open_tape
from spatius_sim.tape.tape_sections import (
    TapeError,
)
from spatius_sim.tape.tape_values import TapedEvent
from spatius_sim.tape.writer import TapeWriter


@dataclass(frozen=True, slots=True)
class Repaired:
    """How many events `repair` saved, and each piece of damage that it found."""

    events: int
    damage: tuple[str, ...]


def repair(path: Path, out: Path) -> Repaired:
    """Copy all records of a damaged tape that can still be read to the new tape `out`. Return how many events
    were saved, and a line of text for each piece of damage. Raises UsageError if the file has no header of a
    tape, or if `out` cannot be written."""
    event_count, damage = 0, []
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        header = replace(reader.header, note="repaired: something is missing")
        with TapeWriter(out, header) as writer:
            for record in reader.read_undamaged_records():
                if isinstance(record, TapeError):
                    damage.append(str(record))
                else:
                    event_count += isinstance(record, TapedEvent)
                    writer.write(record)
    return Repaired(event_count, tuple(damage))
