"""The command line: parses, calls, and tells what came of it."""

import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit import __version__
from toolkit.ending import DAMAGED, INCOMPLETE, exit_code, fail
from toolkit.experiment import Experiment
from toolkit.factors import parse_levels
from toolkit.planning import PROFILES, experiment_scripts, load_experiment
from toolkit.store.encoding import one_line, visible
from toolkit.trials import Level
from toolkit.usage import UsageError

if TYPE_CHECKING:
    from toolkit.predicting import Predicted

#: What `predict` says below a table with a ~.
_ABOUT_MODELS = (
    "~ a model of the collector's counts: they begin at 0 here, in a report at what a trial had counted;\n"
    "  a program that begins at others was seen up to a quarter above"
)

_results_option = click.option(
    "--results",
    "results_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="The folder of the store and the report.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that tells how it went: see `toolkit.ending`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(exit_code(lambda: _commands.main(words, prog_name="toolkit", standalone_mode=False, obj=words)))


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(__version__)
def _commands() -> None:
    """Bench the memory of autograd engines: run experiments, then read the report."""


@_commands.command("list")
def _list() -> None:
    """List the experiments with their questions."""
    for name in experiment_scripts():
        try:
            told = load_experiment(name).question.splitlines()[0]
        except UsageError as problem:
            told = str(problem)
        click.echo(visible(f"{name:<28} {told}"))


@_commands.command("run")
@click.argument("experiments", nargs=-1, metavar="[NAME|FILE]...")
@click.option("--profile", default="default", show_default=True, help=f"How thorough: {', '.join(PROFILES)}.")
@click.option(
    "--set", "settings", multiple=True, metavar="FACTOR=A,B", help="Levels to run in place of the profile's."
)
@click.option("--replicates", type=click.IntRange(min=1), help="How often each cell is run in each measure.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    show_default="the number of cores",
    help="How many memory trials run at once on this host; timed ones always run alone.",
)
@click.option(
    "--executor",
    default="local",
    show_default=True,
    metavar="local|URL",
    help="Where trials run: here, or on the workers of the Dask scheduler at that address.",
)
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="The resident memory beyond which a trial is ended, as in 2GiB.  [default: a share of what is available]",
)
@click.option("--retry-failed", is_flag=True, help="Run failed trials again.")
@click.option("--mix", is_flag=True, help="Allow figures of another interpreter or machine in one store.")
@_results_option
@click.pass_obj
def _run(
    arguments: Sequence[str],
    experiments: tuple[str, ...],
    profile: str,
    settings: tuple[str, ...],
    replicates: int | None,
    jobs: int,
    memory_limit: str | None,
    executor: str,
    retry_failed: bool,
    mix: bool,
    results_dir: Path,
) -> int:
    """Run experiments, by name or script; all of the folder experiments if none is named.

    Trials that are finished are not run again. Of those in the folder, one that cannot be used stops no other.
    """
    from toolkit.limits import parse_size
    from toolkit.progress import showing
    from toolkit.runner import Request, run

    usable, unusable = _usable(experiments)
    request = Request(
        experiments=usable,
        results_dir=results_dir,
        profile=profile,
        overrides=_overrides(settings),
        replicates=replicates,
        jobs=jobs,
        memory_limit_bytes=None if memory_limit is None else parse_size(memory_limit),
        executor=executor,
        retry_failed=retry_failed,
        mix=mix,
        # A report tells the command, and where somebody's home is concerns none of its readers.
        arguments=[_relative(word) if word in experiments else word for word in arguments],
    )
    with showing() as tell:
        summary = run(request, tell)
    for level in summary.skipped:
        click.echo(visible(f"toolkit: skipped {level}"), err=True)
    for problem in unusable:
        click.echo(visible(f"toolkit: left out: {problem}"), err=True)
    failed = summary.failed + summary.failed_before
    again = f", {summary.tried_again} tried again" if summary.tried_again else ""
    click.echo(
        f"{summary.planned:,} trials: {summary.ok:,} run, {summary.finished_before:,} finished before, "
        f"{failed:,} failed"
        f"{again}"
    )
    scripts = [_relative(word) for word in dict.fromkeys(experiments) if word.endswith(".py")]
    if scripts:
        folder = [] if results_dir == Path("results") else ["--results", str(results_dir)]
        click.echo(f"to see it: {shlex.join(['toolkit', 'report', *scripts, *folder])}")
    return INCOMPLETE if failed or unusable else 0


def _usable(named: Sequence[str]) -> tuple[list[Experiment], list[UsageError]]:
    """Return the experiments to run, and what is wrong with those of the folder that nobody named."""
    if named:
        return [load_experiment(name) for name in dict.fromkeys(named)], []
    usable, unusable = [], []
    for name in experiment_scripts():
        try:
            usable.append(load_experiment(name))
        except UsageError as problem:
            unusable.append(problem)
    if not usable:
        raise (
            unusable[0]
            if unusable
            else UsageError("there is no folder experiments here: name a script to run")
        )
    return usable, unusable


def _relative(word: str) -> str:
    return os.path.relpath(word) if os.path.isabs(word) else word


def _overrides(settings: Sequence[str]) -> dict[str, tuple[Level, ...]]:
    overrides: dict[str, tuple[Level, ...]] = {}
    for name, levels in map(parse_levels, settings):
        if name in overrides:
            raise UsageError(f"--set names {name} twice: give all its levels at once, as in --set {name}=A,B")
        overrides[name] = levels
    return overrides


@_commands.command("predict")
@click.argument("experiment", metavar="NAME|FILE")
@click.option("--profile", default="default", show_default=True, help=f"Whose levels: {', '.join(PROFILES)}.")
@click.option(
    "--set", "settings", multiple=True, metavar="FACTOR=A,B", help="Levels in place of the profile's."
)
def _predict(experiment: str, profile: str, settings: tuple[str, ...]) -> None:
    """Print what a workload would need under every mode, without running it under each.

    A mode is the default of the core, one toggle changed, or a combination that the experiment or --set asks for
    (--set saves=needed --set retain_grad=true). Peak and end are bytes of array data. Where the collector comes by
    counts of objects, the peak is a model's (~), and what is left at the end hangs on when it came last. Nothing is
    stored.
    """
    from toolkit.predicting import predict

    # All of it before the first line: what goes wrong on the way is told alone.
    predicted = list(predict(load_experiment(experiment), profile, _overrides(settings)))
    reasons = list(dict.fromkeys(one.reason for one in predicted if one.reason))
    rows = [("levels", "mode", "peak", "end"), *(_told(one, reasons) for one in predicted)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for levels, mode, peak, end in rows:
        click.echo(
            f"{levels:<{widths[0]}}  {mode:<{widths[1]}}  {peak:>{widths[2]}}  {end:>{widths[3]}}".rstrip()
        )
    if any(one.simulated is not None and not one.simulated.exact for one in predicted):
        click.echo(_ABOUT_MODELS)
    for number, reason in enumerate(reasons, 1):
        click.echo(f"[{number}] not predicted: {one_line(reason)}")


def _told(predicted: "Predicted", reasons: Sequence[str]) -> tuple[str, str, str, str]:
    """Return a row: levels, mode, peak and end, or in place of both the number of the reason why there is none."""
    from toolkit.report.units import text

    simulated = predicted.simulated
    levels = " ".join(f"{name}={level}" for name, level in predicted.levels.items())
    changed = [f"{name}={level}" for name, level in predicted.toggles.items()] or ["default"]
    mode = " ".join([*changed, *([f"gc={predicted.gc}"] if predicted.gc else [])])
    if simulated is None:
        note = f"[{reasons.index(predicted.reason) + 1}]"
        return levels, mode, note, note
    peak = ("" if simulated.exact else "~ ") + text(simulated.peak_bytes, "bytes")
    end = "by chance" if simulated.end_bytes is None else text(simulated.end_bytes, "bytes")
    return levels, mode, peak, end


@_commands.command("calibrate")
def _calibrate() -> None:
    """Measure what the probes are worth on this host: their error, their cost, what the platform allows.

    It takes a few seconds, best with nothing else running. Nothing is stored.
    """
    from toolkit.calibration import calibrate

    for name, told in calibrate():
        click.echo(f"{name:<24}{told}")


@_commands.command("report")
@click.argument("experiments", nargs=-1, metavar="[NAME|FILE]...")
@_results_option
def _report(experiments: tuple[str, ...], results_dir: Path) -> int:
    """Make the report of experiments, by name or script; of all that the store holds if none is named."""
    from toolkit.progress import working
    from toolkit.report.build import document, write_report
    from toolkit.store.workshop import tidy

    # First of all: what comes next may fail, and an earlier report may wait to be put back.
    tidy(results_dir)
    named = {one.name: one for one in map(load_experiment, experiments)}
    scripts = {name: partial(load_experiment, name) for name in experiment_scripts()}
    with working("drawing the report"):
        made = document(
            results_dir, scripts | {name: partial(_get, one) for name, one in named.items()}, [*named]
        )
        if absent := named.keys() - {section.experiment for section in made.sections}:
            raise UsageError(f"{results_dir} holds no trial of {min(absent)}")
        path = write_report(results_dir, made)
    click.echo(f"report: {path}")
    if not made.lacks:
        return 0
    more = f"; and {len(made.lacks) - 1} more" if len(made.lacks) > 1 else ""
    return fail(f"the report is incomplete: {one_line(made.lacks[0])}{more}", INCOMPLETE)


def _get(experiment: Experiment) -> Experiment:
    return experiment


@_commands.command("export")
@click.option("--format", "format_name", default="csv", show_default=True, help="csv, parquet or json.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@_results_option
def _export(format_name: str, output: Path | None, results_dir: Path) -> None:
    """Write a row for each trial: its levels and its metrics."""
    from toolkit.store.export import FORMATS, export
    from toolkit.store.read import load

    if format_name not in FORMATS:
        raise UsageError(f"unknown format {format_name!r}; the formats are {', '.join(FORMATS)}")
    path = output or results_dir / f"results.{format_name}"
    export(load(results_dir), path, format_name)
    click.echo(f"exported: {path}")


@_commands.command("verify")
@_results_option
def _verify(results_dir: Path) -> int:
    """Check that every row of the store is what was written."""
    from toolkit.store.verify import verify

    verified = verify(results_dir)
    for problem in verified.problems:
        click.echo(problem)
    click.echo(
        f"{verified.runs:,} runs, {verified.trials:,} trials, {verified.attempts:,} earlier attempts and "
        f"{verified.series:,} series are whole; "
        f"problems: {len(verified.problems) or 'none'}"
    )
    return DAMAGED if verified.problems else 0
