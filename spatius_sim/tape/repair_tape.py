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
    """Read a damaged tape, and write all records that can still be read onto the new tape `out`. Return how
    many events were saved, and each piece of damage. Raises UsageError if the tape has no header."""
    events, damage = 0, []
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        header = replace(reader.header, note="repaired: something is missing")
        with TapeWriter(out, header) as writer:
            for record in reader.whole_records():
                if isinstance(record, TapeError):
                    damage.append(str(record))
                else:
                    events += isinstance(record, TapedEvent)
                    writer.write(record)
    return Repaired(events, tuple(damage))
