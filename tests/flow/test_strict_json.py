"""JSON is read in one way everywhere: what is refused, in which words, and that what is shown of a file is printable."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from raxel_core.camera_io.parsing import parse_json
from raxel_core.raype.config import RayPETrainConfig
from raxel_core.recipe import Recipe
from raxel_core.strict_json import escaped, parse_object, parse_value, printable
from raxel_core.training.config import TrainConfig
from raxel_core.weights.checkpoint import config_from_json

READERS: dict[str, Callable[[str], object]] = {
    "strict_json": lambda text: parse_object("it", text),
    "recipe": Recipe.from_json,
    "model": config_from_json,
    "training": TrainConfig.from_json,
    "raype": RayPETrainConfig.from_json,
    "camera files": lambda text: parse_json(text, "a.json"),
}
REFUSED = {
    "two of a name": ('{"a": 1, "a": 1}', "gives 'a' more than once"),
    "two of a name below": ('{"x": [{"dim": 1, "dim": 2}]}', "gives 'dim' more than once"),
    "NaN": ('{"a": NaN}', "holds NaN, which is no number"),
    "infinity": ('{"a": [-Infinity]}', "holds -Infinity, which is no number"),
    "no JSON": ("{", "is not JSON"),
    "nesting": ("[" * 100_000, "is not JSON: it is nested too deeply"),
    "an unprintable name": ('{"\\u001b[2J": 1, "\\u001b[2J": 2}', r"gives '\x1b[2J' more than once"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", REFUSED)
def test_every_reader_refuses_the_same(reader: str, case: str) -> None:
    text, told = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        READERS[reader](text)
    assert told in str(caught.value) and str(caught.value).isprintable()


def test_what_json_has_is_read_as_it_is() -> None:
    text = '{"a": [1, 2.5, -3e4, true, null, "\\u00e9"], "b": {}}'
    assert parse_value("it", text) == parse_value("it", text.encode()) == json.loads(text)
    assert parse_value("it", "9" * 5000) == float("inf") == parse_value("it", "1e999")
    with pytest.raises(ValueError, match="it is not JSON: byte 0 is not UTF-8"):
        parse_value("it", b"\xff\xfe{\x00}\x00")


def test_text_of_a_file_is_made_printable() -> None:
    assert printable("cam\x1b]0;pwn\x07\u202e\n x\ud800") == r"cam\x1b]0;pwn\x07\u202e x\ud800"
    assert printable("\u00e9\u4e2d", 10) == "\u00e9\u4e2d"
    assert printable("a" * 300, 40) == "a" * 40 + "..."
    assert escaped("one\n two\t") == "one\n two\\t"
