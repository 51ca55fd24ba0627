"""What is mutated, and a mutant as a value."""

from dataclasses import dataclass
from pathlib import Path

from spatius_sim.files.find_resources import resource

_ROOT = resource("conformance").parent


@dataclass(frozen=True, slots=True)
class MutatedModule:
    """A module whose mutants are judged as subjects of this `kind`.

    The judge has `cpu_seconds` for each of them: some ten times what the honest brain takes."""

    name: str
    kind: str
    cpu_seconds: int

    @property
    def path(self) -> Path:
        """Return its source file."""
        return _ROOT / f"{self.name.replace('.', '/')}.py"


MODULES = {
    module.name.rpartition(".")[2]: module
    for module in (
        MutatedModule("spatius_sim.model.client.decoder", "client", 90),
        MutatedModule("spatius_sim.model.client.conversation_states", "client", 90),
        MutatedModule("spatius_sim.model.client.playback_states", "client", 90),
        MutatedModule("spatius_sim.model.relay.relay", "relay", 270),
        MutatedModule("spatius_sim.model.server.session", "server", 40),
        MutatedModule("spatius_sim.model.server.send_responses", "server", 40),
    )
}
"""By short name. Not relay/policy.py and relay/commands.py: each value there is another honest relay."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """The module of this short name with one change, at `line` in the function or table `where`.

    Either `source` is the whole changed source; or `cell` is the key of a changed cell of the table `where`,
    by its place among the keys, with the new value."""

    module: str
    line: int
    where: str
    change: str
    source: str = ""
    cell: tuple[int, object] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what tells it from all other mutants; this stays the same if its lines only move."""
        return self.module, self.where, self.change

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line} {self.where}: {self.change}"
