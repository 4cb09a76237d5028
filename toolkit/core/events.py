"""What the core tells whoever listens: a call, an output released, a backward step, two gradients added up.

Nobody listening costs one truth test of an empty tuple per call. Listeners are shared by all threads.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.core.function import Function
    from toolkit.core.variable import Array, Variable

__all__ = ["Listener", "listening"]


class Listener:
    """Hears what the core does. Every method does nothing until a subclass overrides it."""

    def called(
        self, function: "Function", inputs: tuple["Variable", ...], outputs: tuple["Variable", ...]
    ) -> None:
        """Hear that `function` has made `outputs`; whatever it needed for that is still alive."""

    def released(self, output_id: int) -> None:
        """Hear that an output is gone, by the `id` it had when `called` told of it.

        Watching for this makes a weak reference for each output, an object that the garbage collector counts;
        the core makes them only for a listener that overrides this method.
        """

    def backward_step(
        self,
        function: "Function",
        output_gradients: tuple["Array", ...],
        input_gradients: tuple["Array | None", ...],
    ) -> None:
        """Hear that `function` was gone back through, before the gradients of its outputs are dropped."""

    def accumulated(
        self,
        earlier: "Array",
        total: "Array",
        output_gradients: tuple["Array", ...],
        input_gradients: tuple["Array | None", ...],
    ) -> None:
        """Hear that a gradient was added to an `earlier` one and `total` came of it, before either is dropped.

        The other two are the gradients of the backward step that did it, all of them alive; both are empty
        after the last step.
        """


#: Those who listen now. The core reads it; only `listening` writes it.
listeners: tuple[Listener, ...] = ()
_watched: dict[int, "weakref.ref[Variable]"] = {}
_changing = Lock()


@contextmanager
def listening(listener: Listener) -> Iterator[Listener]:
    """Let `listener` hear the core inside the block; it hears nothing afterwards, also on errors."""
    global listeners
    with _changing:
        listeners = (*listeners, listener)
    try:
        yield listener
    finally:
        # Only this block's entry goes: the same listener may listen in an outer block too.
        with _changing:
            remaining = list(listeners)
            remaining.remove(listener)
            listeners = tuple(remaining)
        if not _watching_releases():
            _watched.clear()


def announce_call(
    function: "Function", inputs: tuple["Variable", ...], outputs: tuple["Variable", ...]
) -> None:
    """Tell every listener of a call."""
    for listener in listeners:
        listener.called(function, inputs, outputs)
    if _watching_releases():
        for output in outputs:
            _watch(output)


def announce_backward_step(
    function: "Function",
    output_gradients: tuple["Array", ...],
    input_gradients: tuple["Array | None", ...],
) -> None:
    """Tell every listener of a backward step."""
    for listener in listeners:
        listener.backward_step(function, output_gradients, input_gradients)


def announce_accumulation(
    earlier: "Array",
    total: "Array",
    output_gradients: tuple["Array", ...],
    input_gradients: tuple["Array | None", ...],
) -> None:
    """Tell every listener that two gradients were added up."""
    for listener in listeners:
        listener.accumulated(earlier, total, output_gradients, input_gradients)


def _watching_releases() -> bool:
    return any(type(listener).released is not Listener.released for listener in listeners)


def _watch(output: "Variable") -> None:
    output_id = id(output)

    def announce_release(_: object) -> None:
        del _watched[output_id]
        for listener in listeners:
            listener.released(output_id)

    _watched[output_id] = weakref.ref(output, announce_release)
