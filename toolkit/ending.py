"""How a command ends: whatever goes wrong, or asks it to end, becomes one line and an exit code."""

import math
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from toolkit._interrupting import INTERRUPTED, leave
from toolkit.store import BadStore, StoreError, StoreLocked, StoreUnwritable
from toolkit.store.encoding import visible
from toolkit.trials import ExecutorLost, ExecutorUnusable
from toolkit.usage import UsageError

__all__ = ["DAMAGED", "INCOMPLETE", "exit_code", "fail"]

#: The exit codes of the design, but for `INTERRUPTED`.
_INTERNAL, _USAGE, INCOMPLETE, DAMAGED, _LOST, _DISK, _LOCKED = 1, 2, 3, 65, 69, 74, 75
_STORE_EXITS: dict[type[StoreError], int] = {BadStore: DAMAGED, StoreUnwritable: _DISK, StoreLocked: _LOCKED}

#: The signals that ask a command to end.
_ASKING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
#: Who asks again before is heard already; later something is stuck, or has swallowed it.
_PATIENCE_SECONDS = 5.0


def exit_code(command: Callable[[], object]) -> int:
    """Run a command and return the code that tells how it went: the one that it returns, or what stopped it.

    0 complete, 1 internal error, 2 usage, 3 some trials failed or the report is incomplete, 65 bad results file,
    69 the cluster is lost, 74 disk, 75 another run holds the store, 130 interrupted, by Ctrl-C, SIGTERM or SIGHUP.
    """
    with _interruptible() as interrupt, warnings.catch_warnings():
        warnings.showwarning = _telling_once()
        return _code_of(command, interrupt)


@contextmanager
def _interruptible() -> Iterator[Callable[[int, object], None]]:
    """Let whatever asks the command to end do what Ctrl-C does, so that trials end with it; yield the handler.

    What is ignored stays ignored: ``nohup`` has its way.
    """
    interrupt = _patient()
    before = {number: signal.getsignal(number) for number in _ASKING}
    for number, handler in before.items():
        if handler == signal.SIG_DFL:
            signal.signal(number, interrupt)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is interrupt:
                signal.signal(number, handler)


def _patient() -> Callable[[int, object], None]:
    """Return a handler that raises KeyboardInterrupt, and not again while what was asked for is being done."""
    raised = -math.inf

    def interrupt(number: int, frame: object) -> None:
        nonlocal raised
        del number, frame
        if time.monotonic() - raised > _PATIENCE_SECONDS:
            raised = time.monotonic()
            raise KeyboardInterrupt

    return interrupt


def _code_of(call: Callable[[], object], interrupt: Callable[[int, object], None]) -> int:
    try:
        if signal.getsignal(signal.SIGINT) in (leave, signal.default_int_handler):
            # From here on there is something to put away, and a word to say.
            signal.signal(signal.SIGINT, interrupt)
        answer = call()
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = fail(
            "interrupted; what is finished is stored, and the same command goes on from there", INTERRUPTED
        )
        # All is put away and told; a signal while Python goes would be what it dies of. SIGTERM still ends it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return code
    except click.ClickException as problem:
        return fail(_advice(problem), problem.exit_code)
    except (UsageError, ExecutorUnusable) as problem:
        return fail(str(problem), _USAGE)
    except ExecutorLost as problem:
        return fail(f"{problem}; what is finished is stored, and the same command goes on from there", _LOST)
    except StoreError as problem:
        return fail(str(problem), _STORE_EXITS[type(problem)])
    except OSError as problem:
        return fail(f"{problem.filename or 'disk'}: {problem.strerror or problem}", _DISK)
    except Exception:
        for line in traceback.format_exc().splitlines():
            click.echo(visible(line), err=True)
        return fail("this is a defect of the toolkit; the lines above say where", _INTERNAL)
    return answer if isinstance(answer, int) else 0


def fail(message: str, code: int) -> int:
    """Tell what went wrong in one line, and return the exit code."""
    click.echo(f"toolkit: {visible(message)}", err=True)
    return code


def _advice(problem: click.ClickException) -> str:
    message, context = problem.format_message(), getattr(problem, "ctx", None)
    if context is None:
        return message
    message = message if message.endswith((".", "?")) else f"{message}."
    if isinstance(context.command, click.Group):
        return f"{message} The commands are {', '.join(context.command.list_commands(context))}."
    return f"{message} See {context.command_path} --help."


def _telling_once() -> Callable[..., None]:
    """Return what shows a warning, the first time that it comes: what every trial would say is said once."""
    told: set[str] = set()

    def warn(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        del category, filename, lineno, file, line  # where in the code it was raised helps nobody here
        if str(message) not in told:
            told.add(str(message))
            click.echo(f"toolkit: warning: {visible(str(message))}", err=True)

    return warn
