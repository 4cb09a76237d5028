"""How many names the trials of a store may have: each is a column of a table or a section of a report.

A file from elsewhere may have as many as it has bytes, and tables of them would take the product of both.
"""

import json
import sqlite3
from collections.abc import Iterable

from toolkit.store import BadStore, Row, schema

__all__ = ["Names"]

_SELECT = "SELECT DISTINCT experiment, factors, constants, conditions, '{}' FROM trial"
_SELECT_METRICS = "SELECT DISTINCT experiment, '{}', '{}', '{}', metrics FROM trial"


class Names:
    """The names that trials have had so far: of experiments, of factors and constants, of conditions, of metrics.

    Parameters
    ----------
    path : str
        Of the store, for the one line.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: dict[str, set[str]] = {kind: set() for kind in schema.MOST_NAMES}
        self._seen: set[object] = set()

    def add_row(self, row: Row) -> None:
        """Count a trial in, see `add`; its mappings, which are known again by identity, have to live on."""
        # Trials share their names, and mostly their mappings: few of them have a new one.
        names = (row.experiment, *row.metrics)
        mappings = (id(row.factors), id(row.constants), id(row.conditions))
        if names not in self._seen or not self._seen.issuperset(mappings):
            self._seen.update((names, *mappings))
            self.add(row.experiment, (*row.factors, *row.constants), row.conditions, row.metrics)

    def add(
        self, experiment: str, levels: Iterable[str], conditions: Iterable[str], metrics: Iterable[str]
    ) -> None:
        """Count the names of a trial in.

        Raises
        ------
        BadStore
            When there are more of a kind than a store may have.
        """
        for (kind, most), names in zip(
            schema.MOST_NAMES.items(), ((experiment,), levels, conditions, metrics), strict=True
        ):
            found = self._found[kind]
            found.update(names)
            if len(found) > most:
                raise BadStore(
                    f"{self._path} holds more than {most:,} {kind}, the most that a store may have"
                )

    def add_stored(self, connection: sqlite3.Connection) -> None:
        """Count the names of all trials of a store in, but for those of damaged rows: see `add`."""
        for query in (_SELECT, _SELECT_METRICS):
            for experiment, *texts in connection.execute(query):
                try:
                    factors, constants, conditions, metrics = map(json.loads, texts)
                except (TypeError, ValueError, RecursionError):
                    continue
                self.add(str(experiment), (*factors, *constants), conditions, metrics)

    def check_table(self, trials: int) -> None:
        """Refuse what would make a table of more cells than can be dealt with.

        Raises
        ------
        BadStore
            When it would.
        """
        _, levels, _, metrics = self._found.values()
        if (cells := trials * (len(levels) + len(metrics))) > schema.MOST_CELLS:
            raise BadStore(
                f"{self._path} would make a table of {cells:,} cells, and {schema.MOST_CELLS:,} are the most"
            )
