"""What the section of an experiment says of trials that were tried more than once."""

from collections import Counter
from collections.abc import Sequence

from toolkit.store import Contents, Row


def notes(rows: Sequence[Row], contents: Contents) -> tuple[str, ...]:
    """Return a note for each way in which attempts at these trials ended, as in "killed, then ok"."""
    earlier = contents.earlier_endings
    ways = Counter((*earlier[row.key], row.status) for row in rows if row.key in earlier)
    return tuple(
        f"Tried again: {count} trial{'s' if count > 1 else ''} needed {len(way)} attempts ({', then '.join(way)})."
        for way, count in sorted(ways.items())
    )
