"""How formula functions are defined: a name, the number of arguments, and a Python function."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.airtable.formulas.values import Value

MANY = 10_000
Compute = Callable[..., Value]


@dataclass(frozen=True)
class Function:
    compute: Compute
    min_arguments: int
    max_arguments: int
    takes_errors: bool
    """False: if an argument is an error, the result is an error and `compute` is not called."""


class Functions(dict[str, Function]):
    """Functions by their name in formulas."""

    def define(
        self, min_arguments: int, max_arguments: int | None = None, *, takes_errors: bool = False
    ) -> Callable[[Compute], Compute]:
        """A decorator. Uses the Python function's name, in capitals and without a final "_"."""

        def add(compute: Compute) -> Compute:
            most = min_arguments if max_arguments is None else max_arguments
            name = compute.__name__.upper().rstrip("_")
            self[name] = Function(compute, min_arguments, most, takes_errors)
            return compute

        return add
