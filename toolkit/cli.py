"""The command line: parses, calls, and maps errors to exit codes."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from toolkit.planning import (
    PROFILES,
    UsageError,
    experiment_scripts,
    load_experiment,
    parse_levels,
)

#: The exit codes of the design, by the name of the error of the store.
_STORE_EXITS = {"BadStore": 65, "StoreUnwritable": 74, "StoreLocked": 75}
_INTERNAL, _USAGE, _TRIALS_FAILED, _DISK, _INTERRUPTED = 1, 2, 3, 74, 130

_results_option = click.option(
    "--results",
    "results_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="The folder of the store and the report.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that tells how it went.

    0 complete, 1 internal error, 2 usage, 3 some trials failed, 65 bad results file, 74 disk, 75 another run
    holds the store, 130 interrupted.
    """
    sys.exit(_exit_code(lambda: _commands.main(arguments, prog_name="toolkit", standalone_mode=False)))


def _exit_code(call: Callable[[], object]) -> int:
    try:
        answer = call()
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _fail(
            "interrupted; what is finished is stored, and the same command goes on from there", _INTERRUPTED
        )
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except UsageError as problem:
        return _fail(str(problem), _USAGE)
    except OSError as problem:
        return _fail(f"{problem.filename or 'disk'}: {problem.strerror}", _DISK)
    except Exception as problem:
        code = _STORE_EXITS.get(type(problem).__name__)
        if code is None:
            traceback.print_exc()
            return _fail("this is a defect of the toolkit; the lines above say where", _INTERNAL)
        return _fail(str(problem), code)
    return answer if isinstance(answer, int) else 0


def _fail(message: str, code: int) -> int:
    click.echo(f"toolkit: {message}", err=True)
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="autograd-memory-toolkit", prog_name="toolkit")
def _commands() -> None:
    """Bench the memory of autograd engines: run experiments, then read the report."""


@_commands.command("list")
def _list() -> None:
    """List the experiments with their questions."""
    for name in experiment_scripts():
        click.echo(f"{name:<28} {load_experiment(name).question.splitlines()[0]}")


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
    default=os.cpu_count() or 1,
    show_default="the number of cores",
    help="How many memory trials run at once; timed ones always run alone.",
)
@click.option("--retry-failed", is_flag=True, help="Run failed trials again.")
@click.option("--mix", is_flag=True, help="Allow figures of another interpreter or machine in one store.")
@_results_option
def _run(
    experiments: tuple[str, ...],
    profile: str,
    settings: tuple[str, ...],
    replicates: int | None,
    jobs: int,
    retry_failed: bool,
    mix: bool,
    results_dir: Path,
) -> int:
    """Run experiments, by name or script; all of the folder experiments if none is named.

    Trials that are finished are not run again.
    """
    from toolkit.progress import showing
    from toolkit.runner import Request, run

    names = experiments or tuple(experiment_scripts())
    if not names:
        raise UsageError("there is no folder experiments here: name a script to run")
    request = Request(
        experiments=[load_experiment(name) for name in dict.fromkeys(names)],
        results_dir=results_dir,
        profile=profile,
        overrides=dict(parse_levels(setting) for setting in settings),
        replicates=replicates,
        jobs=jobs,
        retry_failed=retry_failed,
        mix=mix,
        arguments=sys.argv[1:],
    )
    with showing() as tell:
        summary = run(request, tell)
    failed = summary.failed + summary.failed_before
    click.echo(
        f"{summary.planned} trials: {summary.ok} run, {summary.finished_before} finished before, {failed} failed"
    )
    return _TRIALS_FAILED if failed else 0


@_commands.command("report")
@_results_option
def _report(results_dir: Path) -> None:
    """Make the report of what the store holds."""
    from toolkit.report.build import write_report

    experiments = {name: load_experiment(name) for name in experiment_scripts()}
    page = write_report(results_dir, experiments)
    click.echo(f"report: {page}")


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
