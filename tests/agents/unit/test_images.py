"""The file in a node's data folder that gives labels to images."""

import pytest

from services.agents.node.images import FILE, read_images
from shared.runtime.settings import SettingsError


def test_without_a_file_there_are_no_further_images(tmp_path):
    assert read_images(tmp_path) == {}


def test_names_and_labels_are_as_in_the_file(tmp_path):
    (tmp_path / FILE).write_text(
        '{"lab/python:3": {"ai.backend.resource.min.mem": "1g", "x": "y"}, "lab/sh:1": {}}'
    )
    assert read_images(tmp_path) == {
        "lab/python:3": {"ai.backend.resource.min.mem": "1g", "x": "y"},
        "lab/sh:1": {},
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "images.json is wrong"),
        ('{"a:1": {"x": 1}}', "images.json is wrong"),
        ('{" ": {}}', "a name has"),
        ('{"a:1": {"ai.backend.resource.min.mem": "much"}}', "image a:1.*'much' is not an amount"),
        ('{"a:1": {"ai.backend.resource.min.CPU": "1"}}', "not the name of a slot"),
        ('{"a:1": {"ai.backend.resource.preferred.shmem": "-"}}', "preferred.shmem"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path, text, told):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(SettingsError, match=told):
        read_images(tmp_path)
