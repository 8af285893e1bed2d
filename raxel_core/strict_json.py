"""Strict reading of JSON values: every refusal is one ValueError sentence that names the key and what was expected.

The one reader of the pack: names that stand twice in an object, NaN, infinity, numbers that no float holds and nesting
beyond Python's stack are refused wherever JSON is read. What a refusal shows of a file is printable text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

# A whole number too large for a float is as little finite as 1e999.
_LARGEST = 1e300
_MOST_DIGITS = 300  # so many a float can hold, too
_SHOWN = 40


def parse_object(noun: str, text: str | bytes) -> dict[str, Any]:
    """The JSON object in `text`, read as `parse_value` does; ValueError when there is none."""
    values = parse_value(noun, text)
    if not isinstance(values, dict):
        raise ValueError(f"{_indefinite(noun)} is a JSON object, got {type(values).__name__}")
    return values


def parse_value(noun: str, text: str | bytes) -> Any:
    """The JSON value in `text` (bytes are UTF-8); ValueError for anything else, for NaN, infinity and names twice.

    A number beyond a float's range is read as infinity, as in a browser, so that the check of its key refuses it.
    """

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
            raise ValueError(f"{noun} gives {shown(name)} more than once")
        return values

    def refuse_constant(constant: str) -> float:
        raise ValueError(f"{noun} holds {constant}, which is no number")

    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        return json.loads(decoded, parse_constant=refuse_constant, parse_int=_read_whole, object_pairs_hook=read_object)
    except RecursionError as error:
        raise ValueError(f"{noun} is not JSON: it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{noun} is not JSON: byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{noun} is not JSON: {error}") from error


def _indefinite(noun: str) -> str:
    """`noun` as the subject of what it should be: "a recipe" of "the recipe"."""
    return f"a {noun.removeprefix('the ')}" if noun.startswith("the ") else noun


def _read_whole(digits: str) -> int | float:
    """The whole number of `digits`; infinity, as in a browser, for more of them than a float holds."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def printable(text: object, most: int | None = None) -> str:
    """`text` from a file as it may be shown on a terminal, in a report or on a page: one line, cut after `most`.

    Control characters, marks that turn the direction of writing and halves of characters become escapes (\\x1b).
    """
    given = str(text)
    line = escaped(" ".join(given[: None if most is None else 4 * most].split()))
    return line if most is None or len(line) <= most else line[:most] + "..."


def escaped(text: str) -> str:
    """`text` of several lines with escapes in place of what is not printable, as in `printable`."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


def check_keys(noun: str, values: dict[str, Any], required: Sequence[str], optional: Sequence[str] = ()) -> None:
    """ValueError when `values` lacks one of `required` or has a key that is in neither list."""
    missing = [key for key in required if key not in values]
    surplus = sorted(values.keys() - {*required, *optional})
    if missing:
        raise ValueError(f"{noun} lacks {', '.join(missing[:5])}")
    if surplus:
        names = (key[:_SHOWN] if key.isprintable() else repr(key[:_SHOWN]) for key in surplus[:5])
        raise ValueError(f"{noun} has unknown {', '.join(names)}")


def check_object(noun: str, value: Any) -> dict[str, Any]:
    """`value` when it is a JSON object; ValueError otherwise."""
    if not isinstance(value, dict):
        raise ValueError(f"{noun} is an object, got {shown(value)}")
    return value


def check_list(noun: str, value: Any, most: int) -> Sequence[Any]:
    """`value` when it is a list of at most `most` entries; ValueError otherwise."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{noun} is a list, got {shown(value)}")
    if len(value) > most:
        raise ValueError(f"{noun} has at most {most} entries, got {len(value)}")
    return value


def check_number(noun: str, value: Any, low: float, high: float) -> float:
    """`value` as a float when it is a number from `low` to `high`; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{noun} is a number from {low:g} to {high:g}, got {shown(value)}")
    return float(value)


def check_whole(noun: str, value: Any, low: int, high: int) -> int:
    """`value` as an int when it is a whole number from `low` to `high`; ValueError otherwise."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    if not whole or not low <= value <= high:
        raise ValueError(f"{noun} is a whole number from {low} to {high}, got {shown(value)}")
    return int(value)


def check_point(noun: str, value: Any, most: float) -> tuple[float, float, float]:
    """`value` as three floats of at most `most` in absolute value; ValueError otherwise."""
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError(f"{noun} is a list of 3 numbers, got {shown(value)}")
    x, y, z = (check_number(f"{noun}[{axis}]", number, -most, most) for axis, number in enumerate(value))
    return x, y, z


def check_choice(noun: str, value: Any, choices: Sequence[str]) -> str:
    """`value` when it is one of `choices`; ValueError otherwise."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{noun} is one of {', '.join(choices)}, got {shown(value)}")
    return value


def finite_numbers(noun: str, values: Any, count: int) -> list[float]:
    """`count` finite numbers as floats; ValueError that names `noun` otherwise."""
    if not isinstance(values, list) or len(values) != count:
        got = f"{len(values)} of them" if isinstance(values, list) else type(values).__name__
        raise ValueError(f"{noun} is a list of {count} numbers, got {got}")
    for value in values:
        if type(value) not in (int, float) or not abs(value) < _LARGEST:
            raise ValueError(f"{noun} holds {str(value)[:_SHOWN]!r}, which is no finite number")
    return [float(value) for value in values]


def shown(value: Any) -> str:
    """`value` in an error: numbers and short text as they are, of all else only the kind."""
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else repr(value)[:_SHOWN]
