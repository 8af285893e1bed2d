"""Seeded damage to files: flipped bytes, cuts, splices, repeats, numbers blown up, keys doubled, nesting, wrong text."""

from __future__ import annotations

import re
from random import Random

NUMBER = re.compile(rb"[-+0-9.eE]{1,40}")
NUMBERS = (
    b"nan",
    b"NaN",
    b"inf",
    b"-Infinity",
    b"1e999",
    b"-1e308",
    b"1e30",
    b"1e-320",
    b"9" * 5000,
    b"1" + b"0" * 13,
    b"-0",
    b"0",
    b"-1",
    b"0x10",
    b"1_000",
    b"\xd9\xa1",
    b"",
    b"1e",
    b"true",
    b"null",
    b'"5"',
    b"[]",
    b"{}",
    b"--1",
    b"1.7976931348623157e308",
)
INTEGERS = (0, 1, -1, 255, 2**15, 2**31 - 1, 2**32 - 1, 10**13, 2**63 - 1)
INSERTS = (
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b"(" * 5_000,
    b"\xff\xfe",
    b"\x00",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n\n#\n",
    b",",
    b'"',
    b"'",
    b"}",
    b"]",
    b"\xe2\x80\xa8",
    b"<script>alert(1)</script>",
    b"../../etc/passwd",
    b" " * 5_000,
    b"a" * 5_000,
)


def mutate(data: bytes, other: bytes, random: Random) -> bytes:
    """`data` with one to four kinds of damage; `other` is spliced from."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        data = random.choice(DAMAGES)(data, other, random)
    return data


def _flip(data: bytes, other: bytes, random: Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.randint(1, 8)):
        if damaged:
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def _truncate(data: bytes, other: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _remove(data: bytes, other: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _repeat(data: bytes, other: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:end] + data[start:end] * random.randint(1, 3) + data[end:]


def _splice(data: bytes, other: bytes, random: Random) -> bytes:
    (start, end), (low, high) = _span(data, random), _span(other, random)
    return data[:start] + other[low:high] + data[end:]


def _insert(data: bytes, other: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(INSERTS) + data[at:]


def _number(data: bytes, other: bytes, random: Random) -> bytes:
    """A number of the text becomes another one, or something that only looks like one."""
    found = list(NUMBER.finditer(data))
    if not found:
        return _flip(data, other, random)
    match = random.choice(found)
    return data[: match.start()] + random.choice(NUMBERS) + data[match.end() :]


def _integer(data: bytes, other: bytes, random: Random) -> bytes:
    """One to eight bytes become an extreme whole number, as in binary headers and counts."""
    size = random.choice((1, 2, 4, 8))
    at = random.randrange(len(data) + 1)
    value = random.choice(INTEGERS) & (256**size - 1)
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def _double_key(data: bytes, other: bytes, random: Random) -> bytes:
    """A key of a JSON object, with a value, stands there twice."""
    found = list(re.finditer(rb'"[^"]{1,40}"\s*:', data))
    if not found:
        return _repeat(data, other, random)
    match = random.choice(found)
    return data[: match.start()] + match.group() + b"1," + data[match.start() :]


def _line(data: bytes, other: bytes, random: Random) -> bytes:
    """A line is dropped, doubled, or moved to another place."""
    lines = data.split(b"\n")
    line = lines.pop(random.randrange(len(lines)))
    for _ in range(random.choice((0, 1, 2))):
        lines.insert(random.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    """A stretch of the data, short ones more often."""
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 4, 16, 64, 256, 1024)))


DAMAGES = (_flip, _truncate, _remove, _repeat, _splice, _insert, _number, _number, _integer, _double_key, _line)
