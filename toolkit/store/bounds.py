"""How many names the trials of a store may have: each is a column of a table or a section of a report.

A file from elsewhere may have as many as it has bytes, and tables of them would take the product of both.
"""

import sqlite3
from collections.abc import Iterable

from toolkit.store import BadStore, Row, schema

__all__ = ["Names"]


def _names_in(texts: str) -> str:
    return (
        f"SELECT DISTINCT names.key FROM (SELECT {texts} AS text FROM trial),"
        " json_each(iif(json_valid(text), text, '{}')) AS names WHERE typeof(names.key) = 'text'"
    )


#: What finds the names of each kind, in a third of the time that it takes to parse the texts here. Levels and
#: conditions repeat from trial to trial, and metrics do not.
_QUERIES = {
    "experiments": ("SELECT DISTINCT experiment FROM trial",),
    "factors and constants": (_names_in("DISTINCT factors"), _names_in("DISTINCT constants")),
    "conditions": (_names_in("DISTINCT conditions"),),
    "metrics": (_names_in("metrics"),),
}


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
            self.add(
                experiment=row.experiment,
                levels=(*row.factors, *row.constants),
                conditions=row.conditions,
                metrics=row.metrics,
            )

    def add(
        self, *, experiment: str, levels: Iterable[str], conditions: Iterable[str], metrics: Iterable[str]
    ) -> None:
        """Count the names of a trial in.

        Raises
        ------
        BadStore
            When there are more of a kind than a store may have.
        """
        self._add("experiments", (experiment,))
        self._add("factors and constants", levels)
        self._add("conditions", conditions)
        self._add("metrics", metrics)

    def add_stored(self, connection: sqlite3.Connection) -> None:
        """Count the names of all trials of a store in, but for those in texts that are no JSON: see `add`."""
        for kind, queries in _QUERIES.items():
            for query in queries:
                for (name,) in connection.execute(query):
                    self._add(kind, (str(name),))

    def _add(self, kind: str, names: Iterable[str]) -> None:
        found = self._found[kind]
        found.update(names)
        if len(found) > (most := schema.MOST_NAMES[kind]):
            raise BadStore(f"{self._path} holds more than {most:,} {kind}, the most that a store may have")

    def check_table(self, trials: int) -> None:
        """Refuse what would make a table of more cells than can be dealt with.

        Raises
        ------
        BadStore
            When it would.
        """
        levels, metrics = self._found["factors and constants"], self._found["metrics"]
        if (cells := trials * (len(levels) + len(metrics))) > schema.MOST_CELLS:
            raise BadStore(
                f"{self._path} would make a table of {cells:,} cells, and {schema.MOST_CELLS:,} are the most"
            )
