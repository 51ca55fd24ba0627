"""A study as values: which pipelines are simulated on which networks, and what must come out."""

from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import product

from spatius_sim.model.network.network_profile import NetworkProfile
from spatius_sim.protocol.errors import UsageError
from spatius_sim.study.pipeline_choices import Pipeline, format_value_for_file
from spatius_sim.study.study_figures import Estimate

MAX_CELLS = 400
MAX_TURNS = 100_000
MAX_SPEECH_SECONDS = 50_000_000
"""Seconds of speech that one study may simulate: some seven hours on one core."""

MAX_CHANGES = 10
"""How many changes `what-would-help` tries on each network, at most."""


class BudgetVerdict(Enum):
    """What the figures say of a budget."""

    KEPT = "kept"
    FAILED = "FAILED"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a figure may be, in the figure's unit (shares from 0 to 1)."""

    figure: str
    most: float

    def judge(self, estimate: Estimate) -> BudgetVerdict:
        """Return whether a figure keeps this budget. The verdict is KEPT or FAILED if the whole confidence
        interval of the estimate lies below or above the budget, otherwise INCONCLUSIVE."""
        if estimate.high <= self.most:
            return BudgetVerdict.KEPT
        return BudgetVerdict.FAILED if estimate.low > self.most else BudgetVerdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Cell:
    """One pipeline on one network. `policy` is its name in the study; `point` names its values in the
    sweep."""

    network: NetworkProfile
    policy: str
    point: str
    pipeline: Pipeline

    @property
    def name(self) -> str:
        """The name of the policy with its point of the sweep."""
        return f"{self.policy}, {self.point}" if self.point else self.policy


@dataclass(frozen=True, slots=True)
class Study:
    """What is simulated. `policies` are pipelines by name; `sweep` maps fields of a pipeline to values, and
    every policy is simulated with each combination of these."""

    about: str
    networks: tuple[NetworkProfile, ...]
    policies: dict[str, Pipeline]
    turns: int = 200
    sweep: dict[str, tuple[object, ...]] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    what_would_help: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError if the study lacks a network or a policy, or if its number of turns is out of
        range. Raise it, too, if the study is too large to be simulated: too many combinations, or too much
        speech."""
        if not self.networks or not self.policies:
            raise UsageError("a study needs a network and a policy at least")
        if not 1 <= self.turns <= MAX_TURNS:
            raise UsageError(f"turns must lie between 1 and {MAX_TURNS}")
        cell_count = len(self.networks) * len(self.policies)
        for values in self.sweep.values():
            cell_count *= len(values)
        if cell_count > MAX_CELLS:
            raise UsageError(
                f"the study has {cell_count} combinations of network, policy and sweep; at most {MAX_CELLS} "
                "are allowed: sweep fewer values, or name fewer networks"
            )
        extra_count = len(self.networks) * (1 + MAX_CHANGES) if self.what_would_help else 0
        speech_seconds = (cell_count + extra_count) * self.turns * self._longest_turn()
        if speech_seconds > MAX_SPEECH_SECONDS:
            raise UsageError(
                f"the study has {speech_seconds:.0f} s of speech; at most {MAX_SPEECH_SECONDS} are allowed: "
                "name fewer turns"
            )

    def _longest_turn(self) -> float:
        """Return the seconds of speech in the longest turn."""
        swept = [seconds for seconds in self.sweep.get("seconds", ()) if isinstance(seconds, float)]
        return max([*swept, *(pipeline.seconds for pipeline in self.policies.values())])

    def cells(self) -> list[Cell]:
        """Return all cells of the study. A cell is one combination to simulate: a network, a policy (a named
        pipeline), and one value for each field of the pipeline that the study varies (its sweep). Raises
        UsageError if a pipeline cannot take one of these values."""
        points = [dict(zip(self.sweep, values, strict=True)) for values in product(*self.sweep.values())]
        return [
            Cell(network, name, describe_point(point), replace(pipeline, **point))  # type: ignore[arg-type]
            for network in self.networks
            for name, pipeline in self.policies.items()
            for point in points
        ]


def describe_point(point: dict[str, object]) -> str:
    """Return the values of a point in words."""
    return ", ".join(f"{key} {format_value_for_file(value)}" for key, value in point.items())
