"""Stages and checks over the build file, in units of work: what the flows and the command line call."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from config.settings import Settings
from exchange.compiling import compiled_when_called, machine_code_in
from trading.errors import Outdated
from trading.smc.kernel import advance
from trading.smc.layout import Kernel
from warehouse.builds import BuildReport, Mode, StageResult, build
from warehouse.checks import CheckResult, refuse_failed, run_checks
from warehouse.connection import unit_of_work
from warehouse.gate.clearance import clear
from warehouse.stages import load_stages
from warehouse.strategies.contract import is_strategy
from warehouse.strategies.rejections import count_rejections


@dataclass(frozen=True)
class StagesReport:
    """What `build_all` did."""

    stages: tuple[StageResult, ...]
    dropped: tuple[str, ...]
    changed: bool
    rejections: Mapping[str, Mapping[str, int]]  # strategy -> reason -> how many candidates, the most first

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table in the order of the build; 0 for a view, which is computed where it is read."""
        return {stage.name: stage.rows for stage in self.stages}

    @property
    def signals(self) -> int:
        """Rows of all strategies together."""
        return sum(stage.rows for stage in self.stages if is_strategy(stage.name.rpartition(".")[2]))


def smc_kernel(settings: Settings) -> Kernel:
    """The kernel of Smart Money Concepts as machine code."""
    return compiled_when_called(advance, machine_code_in(settings.paths.state))


def build_all(settings: Settings, mode: Mode = "incremental") -> StagesReport:
    """Bring every table under `sql/` up to date in the build file, in one unit of work.

    Raises:
        InputUnusable: a file under `sql/` can't be a stage; nothing was built.
        CheckFailed: a key is not unique, or a signal can't be traded; nothing was built.
        WarehouseBusy: another process held the build file for the whole bounded wait.
    """
    stages = load_stages(settings.paths.sql, smc_kernel(settings))
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as connection:
        report: BuildReport = build(connection, stages, mode)
        rejections = count_rejections(connection)
    return StagesReport(report.stages, report.dropped, report.changed, rejections)


def check_all(settings: Settings, *, run: str, touching: frozenset[str] | None = None) -> tuple[CheckResult, ...]:
    """Run the checks under `sql/checks/`, keep the results as those of `run`, then refuse what failed.

    When all of them pass, the build is cleared for publication, unless a batch was validated, or a look at a venue
    believed, since it was made.

    Raises:
        CheckFailed: some check found rows, which are in its text and in checks.results.
        Outdated: all passed, but a batch or a look that counts by now is not in the build.
        WarehouseBusy: another process held the build file for the whole bounded wait.
    """
    checks = settings.paths.sql / "checks"
    thresholds = settings.validation.model_dump()
    with unit_of_work(settings.paths.build, **settings.warehouse.model_dump()) as connection:
        results = run_checks(
            connection,
            checks,
            run=run,
            checked_at=datetime.now(UTC),
            touching=touching,
            params=thresholds,
            stages=load_stages(settings.paths.sql),
        )
        passed = touching is None and all(result.passed for result in results)
        is_outdated = passed and not clear(connection)
    refuse_failed(results)
    if is_outdated:
        raise Outdated(
            "The checks passed, but not all that counts is in the build: a batch was validated in between, or a venue "
            "was looked at. Nothing is published of it; build again, then check again."
        )
    return results
