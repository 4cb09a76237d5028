"""The one way in which a value is written, so that equal values have equal bytes and equal digests."""

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Fingerprint",
    "Packed",
    "Samples",
    "canonical_json",
    "check_total",
    "check_values",
    "digest_of",
    "fingerprint_of",
    "one_line",
    "pack",
    "unpack",
    "unpack_all",
    "visible",
    "without_surrogates",
]

#: A longer series is not written, and one that claims to be longer is not unpacked: this is 128 MiB.
MAX_SERIES_LENGTH = 2**24
#: All series of a trial together: 512 MiB.
MAX_TRIAL_LENGTH = 2**26
#: What the digest of a trial knows of a series: type, count and SHA-256 of the bytes.
Fingerprint: TypeAlias = tuple[str, int, str]

Samples: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def canonical_json(value: object) -> str:
    """Return `value` as JSON in ASCII, with sorted names and no space.

    Raises
    ------
    ValueError
        When a number in it is infinite or not a number.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def without_surrogates(text: str) -> str:
    r"""Return `text` with lone surrogates spelt out (``\udc80``): neither SQLite nor Arrow can hold them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def visible(text: str) -> str:
    """Return a text fit for one line on a terminal: what would move its cursor or colour it is spelt out.

    Also a line break, and what turns the direction of writing: files from elsewhere hold anything.
    """
    return (
        text
        if text.isprintable()
        else "".join(
            letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
        )
    )


def one_line(text: str) -> str:
    """Return the beginning of a text as `visible` does."""
    return visible(text[:200])


def fingerprint_of(dtype: str, count: int, data: bytes) -> Fingerprint:
    """Return what the digest of a trial is taken over, of a series as it lies in the file."""
    return dtype, count, hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Packed:
    """One series as it lies in the file.

    Attributes
    ----------
    dtype : {"int64", "float64"}
        Of the values.
    count : int
        How many there are.
    data : bytes
        zlib-compressed, little-endian; of integers, the first and then the differences.
    """

    dtype: str
    count: int
    data: bytes

    @property
    def fingerprint(self) -> Fingerprint:
        """What the digest of the trial is taken over."""
        return fingerprint_of(self.dtype, self.count, self.data)


def pack(values: Sequence[int] | Sequence[float]) -> Packed:
    """Pack a series: as int64 when all its values are integers, else as float64.

    Raises
    ------
    ValueError
        When it is too long, or a value is infinite, not a number, or beyond 64 bits.
    """
    if len(values) > MAX_SERIES_LENGTH:
        raise ValueError(
            f"{len(values)} samples are more than the {MAX_SERIES_LENGTH} that a series may have"
        )
    if all(isinstance(value, int) for value in values):
        try:
            integers = np.array(values, dtype="<i8")
        except OverflowError as error:
            raise ValueError("an integer does not fit 64 bits") from error
        # Memory moves in small steps: differences compress better. They may wrap, and so does the sum.
        raw = np.diff(integers, prepend=np.int64(0)).astype("<i8").tobytes()
        return Packed("int64", len(values), zlib.compress(raw))
    floats = np.array(values, dtype="<f8")
    if not np.isfinite(floats).all():
        raise ValueError("a value is infinite or not a number")
    return Packed("float64", len(values), zlib.compress(floats.tobytes()))


def unpack(packed: Packed) -> Samples:
    """Return the values of a series.

    Raises
    ------
    ValueError
        When the bytes do not hold what is claimed. No more memory is used than the claimed count needs.
    """
    known = packed.dtype in ("int64", "float64") and type(packed.count) is int
    if not known or not 0 <= packed.count <= MAX_SERIES_LENGTH:
        raise ValueError(f"{packed.count} values of type {packed.dtype} are no series")
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(packed.data, 8 * packed.count + 1)
    except zlib.error as error:
        raise ValueError(f"the bytes of a series cannot be decompressed: {error}") from error
    if len(raw) != 8 * packed.count:
        raise ValueError("a series has another length than it claims")
    if packed.dtype == "int64":
        return np.cumsum(np.frombuffer(raw, dtype="<i8"), dtype=np.int64)
    return np.frombuffer(raw, dtype="<f8").astype(np.float64)


def unpack_all(series: Mapping[str, Packed]) -> dict[str, Samples]:
    """Return the values of every series of a trial.

    Raises
    ------
    ValueError
        As `unpack` does, and when they claim to be more in all than a trial may have.
    """
    unpacked: dict[str, Samples] = {}
    for name, packed in series.items():
        unpacked[name] = unpack(packed)
        check_total(map(len, unpacked.values()))
    return unpacked


def check_total(lengths: Iterable[int]) -> None:
    """Refuse series that are longer in all than those of one trial may be.

    Raises
    ------
    ValueError
        When they are.
    """
    if (total := sum(lengths)) > MAX_TRIAL_LENGTH:
        raise ValueError(f"{total} samples are more than the {MAX_TRIAL_LENGTH} that a trial may have")


def check_values(values: Mapping[str, object], kinds: Collection[type]) -> None:
    """Let pass only what every format can hold: values of these types, finite, integers of 64 bits.

    Raises
    ------
    ValueError
        Naming the first value that is something else.
    """
    for name, value in values.items():
        kind = type(value)
        if kind not in kinds:
            raise ValueError(f"{name!r} is of type {kind.__name__}")
        if kind is float and not math.isfinite(value):  # type: ignore[arg-type]
            raise ValueError(f"{name!r} is {value}")
        if kind is int and not -(2**63) <= value < 2**63:  # type: ignore[operator]
            raise ValueError(f"{name!r} does not fit 64 bits")


def _json_writer() -> Callable[[object], str]:
    # Not in ASCII: damaged UTF-8 comes as lone surrogates, which then cannot be encoded.
    encoder = json.JSONEncoder(allow_nan=False, ensure_ascii=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    # What `encode` makes anew for every row takes as long as the row.
    write = make(
        None,
        encoder.default,
        json.encoder.encode_basestring,
        None,
        encoder.key_separator,
        encoder.item_separator,
        encoder.sort_keys,
        encoder.skipkeys,
        encoder.allow_nan,
    )
    return lambda value: "".join(write(value, 0))


_to_json = _json_writer()


def digest_of(cells: Sequence[object], fingerprints: Mapping[str, Fingerprint] | None = None) -> str:
    """Return the SHA-256 of a row, in hexadecimal: over its cells in order and its series by name.

    Raises
    ------
    TypeError, ValueError
        When a cell is something that the store does not write.
    """
    row = [*cells, sorted((fingerprints or {}).items())]
    return hashlib.sha256(_to_json(row).encode()).hexdigest()
