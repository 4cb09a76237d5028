"""Bytes for people. The report has its own, for every unit; this folder stands below it."""


def human(size_bytes: int) -> str:
    """Return a number of bytes in the largest unit of which it has one, with three digits."""
    size, names = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(names) > 1:
        size /= 1024
        names.pop(0)
    return f"{size:.0f} {names[0]}" if size >= 100 or size.is_integer() else f"{size:.3g} {names[0]}"
