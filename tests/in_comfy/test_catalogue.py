"""How the nodes are found and named in a real ComfyUI: search words, experiments, folded inputs, and four languages."""

from __future__ import annotations

import json
import re

import pytest

from tests.in_comfy.comfy_server import PACK

LANGUAGES = ("en", "zh", "ja", "ko")


@pytest.fixture
def nodes(comfy):
    """The pack's nodes as ComfyUI describes them, by id."""
    everything = comfy.get("/object_info")
    return {name: info for name, info in everything.items() if info["category"].split("/")[0] == "raxel"}


def inputs_of(info):
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


def test_every_node_has_words_to_be_found_by(comfy, nodes):
    if "search_aliases" not in nodes["JointSampler"]:
        pytest.skip("this ComfyUI's search knows no aliases")
    assert [name for name, info in nodes.items() if not info["search_aliases"]] == []
    for name, info in nodes.items():
        words = info["search_aliases"]
        assert len(set(words)) == len(words), name
        assert all(word == word.strip().lower() for word in words), name


def test_what_is_folded_away_is_an_input_and_never_a_required_socket(comfy, nodes):
    folded = {
        (name, key): options
        for name, info in nodes.items()
        for key, options in inputs_of(info).items()
        if len(options) > 1 and options[1].get("advanced")
    }
    if comfy.version < (0, 33):
        assert folded == {}
        return
    assert ("CameraTrajectoryBuilder", "depth_kind") in folded
    assert all("default" in options[1] for options in folded.values())
    assert nodes["JointSampler"]["experimental"]
    assert not nodes["CameraTrajectoryBuilder"]["experimental"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_language_names_every_node_input_and_output(comfy, nodes, language):
    said = json.loads((PACK / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    assert set(said) == set(nodes)
    for name, info in nodes.items():
        assert set(said[name]["inputs"]) == set(inputs_of(info)), name
        assert list(said[name]["outputs"]) == [str(number) for number in range(len(info["output"]))], name
        words = [
            said[name]["display_name"],
            *(entry["name"] for part in ("inputs", "outputs") for entry in said[name][part].values()),
        ]
        assert all(word.strip() for word in words), name
    served = comfy.get("/i18n")[language]["nodeDefs"]
    assert served["CameraTrajectoryBuilder"] == said["CameraTrajectoryBuilder"]


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_the_language_explains_every_node_input_and_output(nodes, language):
    """English is the schema's own. The lists of file formats are names of programs, and stay as they are."""
    said = json.loads((PACK / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    for name, info in nodes.items():
        pairs = [(info["description"], said[name].get("description"))]
        for key, (_, *options) in inputs_of(info).items():
            if key != "format":
                pairs.append((options[0].get("tooltip"), said[name]["inputs"][key].get("tooltip")))
        for number, meaning in enumerate(info.get("output_tooltips") or []):
            pairs.append((meaning, said[name]["outputs"][str(number)].get("tooltip")))
        for english, words in pairs:
            assert bool(words) == bool(english) and (words is None or words != english), (name, english, words)
            assert not english or numbers(words) >= numbers(english) - WRITTEN_OUT, (name, english, words)


# Numbers that a language may write as a word, as "4 times" or the 25th.
WRITTEN_OUT = {"1", "2"}


def numbers(text):
    """The numbers of a text, by which a translation that has fallen behind its English is told."""
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def test_the_languages_are_not_english(comfy):
    texts = [(PACK / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8") for language in LANGUAGES]
    assert len(set(texts)) == len(LANGUAGES)
    for text in texts[1:]:
        assert sum(ord(letter) > 0x2E80 for letter in text) > 800
