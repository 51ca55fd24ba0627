"""Runs a study: simulates the turns of every cell, in this process or spread over several by joblib."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from spatius_sim.model.network.network_profile import NetworkProfile
from spatius_sim.protocol.errors import UsageError
from spatius_sim.study.judge_turns import TURNS_PER_JUDGED_TURN, judge_turn, turns_to_judge
from spatius_sim.study.pipeline_choices import Pipeline, pipelines_with_one_change
from spatius_sim.study.simulate_turn import SimulatedTurn, simulate_turn
from spatius_sim.study.study_definition import Budget, BudgetVerdict, Cell, Study
from spatius_sim.study.study_figures import Estimate, estimate_saving, estimates
from spatius_sim.study.turn_tally import Tally

BLOCK = 50
"""How many turns are one piece of work."""

_JUDGED_BLOCK = 5
"""The same for turns that are judged."""

_B = TypeVar("_B")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class SimulatedCell:
    """A cell with its figures, and the verdicts on the budgets."""

    cell: Cell
    tally: Tally
    figures: dict[str, Estimate]
    verdicts: dict[str, BudgetVerdict]

    @property
    def worst(self) -> int:
        """The number of the turn with the most trouble."""
        return self.tally.worst[1] if self.tally.worst else 0


@dataclass(frozen=True, slots=True)
class ChangeSaving:
    """What one change of the first policy saves on a network: seconds of trouble a turn, and the two figures
    that people know."""

    change: str
    saved: Estimate
    first_motion_p95: float
    stalls_per_minute: float
    keyframes_late: float


@dataclass(frozen=True, slots=True)
class JudgedTurns:
    """The turns of a cell that were played whole and judged by the rules for relays and clients: their
    numbers, and what was broken, in words."""

    network: str
    policy: str
    turns: list[int]
    broken: list[str]


@dataclass(slots=True)
class Outcome:
    """What a study found. `complete`: whether all turns were simulated."""

    study: Study
    seed: int
    cells: list[SimulatedCell] = field(default_factory=list)
    helps: dict[str, list[ChangeSaving]] = field(default_factory=dict)
    """For each network by name: the changes, the one that saves most first."""
    judged: list[JudgedTurns] = field(default_factory=list)
    complete: bool = True

    @property
    def verdicts(self) -> list[BudgetVerdict]:
        """The verdicts on all budgets in all cells."""
        return [verdict for cell in self.cells for verdict in cell.verdicts.values()]


@dataclass(frozen=True, slots=True)
class _JudgedBlock:
    """A piece of work: turns of a cell that are played whole and judged."""

    cell: int
    pipeline: Pipeline
    network: NetworkProfile
    seed: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """A piece of work of a running study: the turns `begin` to `end` of the task with this number."""

    task: int
    pipeline: Pipeline
    network: NetworkProfile
    seed: int
    begin: int
    end: int


def simulate_block(block: _Block) -> tuple[int, Tally]:
    """Do one piece of work of a running study: simulate a block of turns. A process does one piece at a time.
    Return the number of the block's task, and the sums over its turns. A task is one pipeline on one
    network."""
    tally = Tally()
    for number in range(block.begin, block.end):
        tally.add(simulate_turn(block.pipeline, block.network, block.seed, number), block.pipeline.seconds)
    return block.task, tally


def judge_block(block: _JudgedBlock) -> tuple[int, list[int], list[str]]:
    """Do one piece of work of a running study: judge a block of turns by the rules. A process does one piece
    at a time. Return the number of the block's cell (one pipeline on one network) and the numbers of its
    turns. Return also a text for each rule that a turn broke."""
    broken_texts = [
        f"turn {number}: {broken_rule.rule}: {broken_rule.actual}"
        for number in block.numbers
        for broken_rule in judge_turn(block.pipeline, block.network, block.seed, number)
    ]
    return block.cell, list(block.numbers), broken_texts


def run_study(
    study: Study,
    seed: int,
    jobs: int | None = 1,
    on_progress: Callable[[int, int], None] = lambda done, all_: None,
) -> Outcome:
    """Simulate a study, and return what came out. The same seed gives the same figures for any `jobs`.

    `jobs`: how many processes; None: as the joblib configuration around the call says, for instance a Dask
    cluster. `on_progress` is called with the turns done and all turns. If a KeyboardInterrupt comes, the
    outcome holds what was found by then."""
    cells = study.cells()
    tasks: dict[tuple[str, Pipeline], int] = {}
    work: list[tuple[NetworkProfile, Pipeline]] = []
    for network, pipeline in [
        *((cell.network, cell.pipeline) for cell in cells),
        *_pipelines_to_compare(study),
    ]:
        key = (network.name, pipeline)
        if key not in tasks:
            tasks[key] = len(work)
            work.append((network, pipeline))
    tallies = [Tally() for _ in work]
    outcome = Outcome(study, seed)
    chosen = _cells_to_judge(cells)
    # A judged turn takes about as long as twenty others.
    total, done = (len(work) + len(chosen)) * study.turns, 0
    try:
        for task, part in _run_blocks(simulate_block, _blocks(work, study.turns, seed), jobs):
            tallies[task].merge(part)
            done += part.turns
            on_progress(done, total)
    except KeyboardInterrupt:
        outcome.complete = False
    for cell in cells:
        tally = tallies[tasks[cell.network.name, cell.pipeline]]
        if tally.turns:
            outcome.cells.append(_evaluate_cell(cell, tally, study.budgets))
    if study.what_would_help and outcome.complete:
        for network in study.networks:
            outcome.helps[network.name] = _rank_changes(study, network, tallies, tasks)
    if outcome.complete:
        _judge_some_turns(outcome, chosen, jobs, lambda judged: on_progress(min(total, done + judged), total))
    return outcome


def _cells_to_judge(cells: list[Cell]) -> list[Cell]:
    """Return the cells of the study whose turns are judged by the rules: each policy on each network, at
    the first point of the sweep. Most keys that are swept are no choice that a rule is about."""
    first = {(cell.network.name, cell.policy): cell for cell in reversed(cells)}
    return list(reversed(first.values()))


def _judge_some_turns(
    outcome: Outcome, cells: list[Cell], jobs: int | None, on_progress: Callable[[int], None]
) -> None:
    """Judge one of each TURNS_PER_JUDGED_TURN turns of these cells by the rules, in `jobs` processes. Add the
    broken rules to `outcome.judged`. A KeyboardInterrupt stops the judging, and the outcome is then not
    complete.

    `on_progress` is called with TURNS_PER_JUDGED_TURN times the number of turns judged so far: the turns that
    these represent."""
    turn_numbers = turns_to_judge(outcome.study.turns, outcome.seed)
    work = (
        _JudgedBlock(cell_number, cell.pipeline, cell.network, outcome.seed, tuple(piece))
        for cell_number, cell in enumerate(cells)
        for piece in (
            turn_numbers[begin : begin + _JUDGED_BLOCK]
            for begin in range(0, len(turn_numbers), _JUDGED_BLOCK)
        )
    )
    results_by_cell: dict[int, tuple[list[int], list[str]]] = {
        cell_number: ([], []) for cell_number in range(len(cells))
    }
    try:
        for cell_number, turns, broken in _run_blocks(judge_block, work, jobs):
            results_by_cell[cell_number][0].extend(turns)
            results_by_cell[cell_number][1].extend(broken)
            on_progress(TURNS_PER_JUDGED_TURN * sum(len(judged) for judged, _ in results_by_cell.values()))
    except KeyboardInterrupt:
        outcome.complete = False
    for cell_number, (turns, broken) in results_by_cell.items():
        cell = cells[cell_number]
        outcome.judged.append(JudgedTurns(cell.network.name, cell.name, sorted(turns), sorted(broken)))


def _blocks(work: list[tuple[NetworkProfile, Pipeline]], turns: int, seed: int) -> Iterator[_Block]:
    """Yield the blocks of turns of the study, for each network and pipeline."""
    for task, (network, pipeline) in enumerate(work):
        for begin in range(0, turns, BLOCK):
            yield _Block(task, pipeline, network, seed, begin, min(turns, begin + BLOCK))


def _run_blocks(do_block: Callable[[_B], _R], blocks: Iterable[_B], jobs: int | None) -> Iterator[_R]:
    """Yield what `do_block` returns for each block of the study, in any order. `jobs` processes share the
    blocks; 1: this process does all, None: joblib decides. Raises UsageError if joblib is needed and
    missing."""
    if jobs == 1:
        yield from map(do_block, blocks)
        return
    try:
        import joblib
    except ImportError:
        raise UsageError("--jobs needs joblib: pip install 'spatius-sim[simulate]'") from None
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    yield from parallel(joblib.delayed(do_block)(block) for block in blocks)


def _evaluate_cell(cell: Cell, tally: Tally, budgets: tuple[Budget, ...]) -> SimulatedCell:
    """Return the cell (one pipeline on one network) with the figures of its turns, and with a verdict on each
    budget: whether the figure is low enough."""
    figures = estimates(tally)
    return SimulatedCell(
        cell, tally, figures, {budget.figure: budget.judge(figures[budget.figure]) for budget in budgets}
    )


def _first_pipeline(study: Study) -> Pipeline:
    """Return the pipeline of the study's first policy (named pipeline), to which changes are tried."""
    return next(iter(study.policies.values()))


def _pipelines_to_compare(study: Study) -> list[tuple[NetworkProfile, Pipeline]]:
    """Return what the study simulates to find out what would help: on each network, the first of its
    pipelines, and this pipeline with one change each. Return [] if the study does not ask for that."""
    if not study.what_would_help:
        return []
    base = _first_pipeline(study)
    pipelines = (base, *pipelines_with_one_change(base).values())
    return [(network, pipeline) for network in study.networks for pipeline in pipelines]


def _rank_changes(
    study: Study, network: NetworkProfile, tallies: list[Tally], task_numbers: dict[tuple[str, Pipeline], int]
) -> list[ChangeSaving]:
    """Return how much trouble (time in which the face does not move in step with the audio) each change of
    the study's first pipeline saves on this network; the change that saves most comes first. `tallies` are
    the results by task number, and `task_numbers` are by network name and pipeline."""
    base = _first_pipeline(study)
    tally_before = tallies[task_numbers[network.name, base]]
    savings = []
    for change, changed in pipelines_with_one_change(base).items():
        tally = tallies[task_numbers[network.name, changed]]
        figures = estimates(tally)
        savings.append(
            ChangeSaving(
                change,
                estimate_saving(tally_before, tally),
                figures["first_motion_p95"].value,
                figures["stalls_per_minute"].value,
                figures["keyframes_late"].value,
            )
        )
    return sorted(savings, key=lambda saving: -saving.saved.value)


def worst_turn(simulated: SimulatedCell, seed: int) -> SimulatedTurn:
    """Simulate the worst turn of a cell of the study once more, with all that a time-line shows."""
    return simulate_turn(
        simulated.cell.pipeline, simulated.cell.network, seed, simulated.worst, detailed=True
    )
