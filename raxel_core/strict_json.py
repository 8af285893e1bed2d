"""Strict reading of JSON values: every refusal is one ValueError sentence that names the key and what was expected."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

# A whole number too large for a float is as little finite as 1e999.
_LARGEST = 1e300
_MOST_DIGITS = 4000


def parse_object(noun: str, text: str) -> dict[str, Any]:
    """The JSON object in `text`, NaN, infinity and repeated names refused; ValueError when there is none."""

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
            raise ValueError(f"{noun} gives {name[:40]!r} more than once")
        return values

    def refuse_constant(constant: str) -> float:
        raise ValueError(f"{noun} holds {constant}, which is no number")

    try:
        values = json.loads(text, parse_constant=refuse_constant, parse_int=_read_whole, object_pairs_hook=read_object)
    except RecursionError as error:
        raise ValueError(f"{noun} is nested too deep to be one") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{noun} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"a {noun.removeprefix('the ')} is a JSON object, got {type(values).__name__}")
    return values


def _read_whole(digits: str) -> int | float:
    """The whole number of `digits`; infinity, as in a browser, for more of them than Python converts."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def check_keys(noun: str, values: dict[str, Any], required: Sequence[str], optional: Sequence[str] = ()) -> None:
    """ValueError when `values` lacks one of `required` or has a key that is in neither list."""
    missing = [key for key in required if key not in values]
    surplus = sorted(values.keys() - {*required, *optional})
    if missing:
        raise ValueError(f"{noun} lacks {', '.join(missing[:5])}")
    if surplus:
        names = (key[:40] if key.isprintable() else repr(key[:40]) for key in surplus[:5])
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
            raise ValueError(f"{noun} holds {str(value)[:40]!r}, which is no finite number")
    return [float(value) for value in values]


def shown(value: Any) -> str:
    """`value` in an error: numbers and short text as they are, of all else only the kind."""
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else repr(value)[:40]
