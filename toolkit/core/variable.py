"""Variable: an array, its gradient, and the function that made it (book steps 11 to 18)."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from toolkit.core.function import Function

__all__ = ["Array", "Constant", "Operand", "Variable", "as_array", "as_variable", "no_array_error"]

Array: TypeAlias = npt.NDArray[Any]
Operand: TypeAlias = "Variable | Array | np.generic | float"


class Variable:
    """An array in a computational graph.

    Parameters
    ----------
    data : numpy.ndarray
        Any shape and dtype; a backward pass needs real floating data. The array is held, not copied.
    name : str, optional
        For people: shown by ``repr`` and in reports.

    Attributes
    ----------
    grad : numpy.ndarray or None
        The gradient, of the shape and dtype of `data`; a `Variable` where the backward pass was itself recorded.
    creator : Function or None
        The function that made this variable; None for a leaf.
    position : int
        Which output of its creator it is, from 0.
    generation : int
        0 for a leaf, one more than its creator's otherwise (step 16.1).
    untracked : bool
        Whether a function made this variable while the graph was switched off (step 18.3).

    Raises
    ------
    TypeError
        When `data` is not an array. `as_array` makes one of a scalar.
    """

    __slots__ = ("__weakref__", "creator", "data", "generation", "grad", "name", "position", "untracked")
    # Keeps `array + variable` from broadcasting over the variable: numpy hands the operation to us.
    __array_ufunc__ = None

    def __init__(self, data: Array, name: str | None = None) -> None:
        if not isinstance(data, np.ndarray):
            raise no_array_error(data)
        self.data = data
        self.name = name
        self.grad: Any = None
        self.creator: Function | None = None
        self.generation = 0
        self.untracked = False

    def set_creator(self, function: "Function", position: int = 0) -> None:
        """Record the function that made this variable, and with it the generation (step 16.1)."""
        self.creator = function
        self.position = position
        self.generation = function.generation + 1

    def cleargrad(self) -> None:
        """Forget the gradient, so that the next backward pass does not add to it (step 14.3)."""
        self.grad = None

    clear_grad = cleargrad

    def unchain(self) -> None:
        """Forget how this variable was made: for every call from now on it is a leaf.

        So a pass through what follows ends here, and what came before is freed unless something else needs it.
        Called on the state that a recurrent network carries on, every so many steps, it truncates
        backpropagation through time (Williams and Peng 1990).

        Of earlier calls that took it, those end here too that hold the variable itself, as all do by default. One
        that holds a stand-in for it, because of the toggles `saves` and `storage`, has its place in the graph for
        good: a pass through that call goes on to what came before.
        """
        self.creator = None
        self.generation = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions of the data."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements of the data."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the data."""
        return self.data.dtype

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"Variable({np.array2string(self.data, prefix='Variable(', separator=', ')}{name})"

    if TYPE_CHECKING:
        # The traversal and each family of functions install their own methods and operators at run time; these
        # are their types.
        def backward(
            self,
            retain_grad: bool | None = None,
            retain_graph: bool | None = None,
            create_graph: bool = False,
        ) -> None:
            """See `toolkit.core.backward`."""

        def __getitem__(self, index: Any) -> "Variable": ...
        def __add__(self, other: Operand) -> "Variable": ...
        def __radd__(self, other: Operand) -> "Variable": ...
        def __sub__(self, other: Operand) -> "Variable": ...
        def __rsub__(self, other: Operand) -> "Variable": ...
        def __mul__(self, other: Operand) -> "Variable": ...
        def __rmul__(self, other: Operand) -> "Variable": ...
        def __truediv__(self, other: Operand) -> "Variable": ...
        def __rtruediv__(self, other: Operand) -> "Variable": ...
        def __pow__(self, exponent: float) -> "Variable": ...
        def __neg__(self) -> "Variable": ...
        def __matmul__(self, other: Operand) -> "Variable": ...
        def __rmatmul__(self, other: Operand) -> "Variable": ...
        def reshape(self, *shape: int | tuple[int, ...]) -> "Variable":
            """Return `toolkit.reshape` of this variable; the sizes may come as one tuple."""

        def transpose(self, *axes: int | tuple[int, ...]) -> "Variable":
            """Return `toolkit.transpose` of this variable; the axes may come as one tuple."""

        @property
        def T(self) -> "Variable":
            """The variable with its axes reversed."""

        def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Variable":
            """Return `toolkit.sum` of this variable."""

        def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Variable":
            """Return `toolkit.mean` of this variable."""

        def max(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Variable":
            """Return `toolkit.max` of this variable."""

        def min(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Variable":
            """Return `toolkit.min` of this variable."""

        def astype(self, dtype: npt.DTypeLike) -> "Variable":
            """Return `toolkit.astype` of this variable."""


class Constant(Variable):
    """The leaf that stands for an operand which is no variable: nobody can ask for its gradient, so it has none."""

    __slots__ = ()


def as_array(value: Any) -> Any:
    """Return a 0-d array for a scalar, Python's or numpy's, and anything else as it is (steps 9 and 11)."""
    if type(value) is np.ndarray:
        return value
    return np.array(value) if np.isscalar(value) else value


def no_array_error(value: object) -> TypeError:
    """Return the error that says of a value that it can be no variable's data."""
    return TypeError(
        f"Variable needs a numpy array, not {type(value).__name__}; as_array makes one of a scalar"
    )


def as_variable(value: Operand) -> Variable:
    """Return `value` if it is a variable, and a new leaf holding it as an array otherwise.

    Raises
    ------
    TypeError
        When `value` is neither a variable, an array nor a scalar.
    """
    return value if isinstance(value, Variable) else Variable(as_array(value))
