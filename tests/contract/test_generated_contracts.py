"""What integrators rely on: generated documents are current, and old events stay readable."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from shared.contracts.__main__ import render
from shared.contracts.catalog import SPEAKING

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "docs" / "contracts"
GOLDEN = Path(__file__).parent / "golden"
EVENTS = {(item.service, event.__name__): event for item in SPEAKING for event in item.events}
GOLDEN_FILES = sorted(GOLDEN.glob("*/*.json"))


def name_of(path):
    return f"{path.parent.name}-{path.stem}"


def test_the_committed_contracts_are_what_the_code_says():
    stale = [
        name
        for name, text in render().items()
        if not (CONTRACTS / name).exists() or (CONTRACTS / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, f"run `python -m shared.contracts` and commit docs/contracts: {stale}"


def test_no_contract_is_left_behind_of_a_service_that_says_nothing():
    assert {path.name for path in CONTRACTS.glob("*.json")} == set(render())


@pytest.mark.parametrize("item", SPEAKING, ids=lambda item: item.service)
def test_every_reference_of_a_document_leads_somewhere(item):
    document = json.loads(render()[f"{item.service}.asyncapi.json"])
    references = set(re.findall(r'"\$ref": "(#[^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        node = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in node, reference
            node = node[step]


@pytest.mark.parametrize("item", SPEAKING, ids=lambda item: item.service)
def test_every_schema_is_a_json_schema(item):
    for schema in json.loads(render()[f"{item.service}.schemas.json"]).values():
        Draft202012Validator.check_schema(schema)


def test_every_event_that_can_be_written_has_a_golden_file():
    missing = [
        f"{service}/{name}.v{event.SCHEMA_VERSION}.json"
        for (service, name), event in EVENTS.items()
        if not (GOLDEN / service / f"{name}.v{event.SCHEMA_VERSION}.json").exists()
    ]
    assert not missing


@pytest.mark.parametrize("path", GOLDEN_FILES, ids=name_of)
def test_every_event_version_ever_written_still_decodes(path, codecs):
    name, _, version = path.stem.rpartition(".v")
    event = codecs[path.parent.name].decode(name, int(version), path.read_bytes())
    assert isinstance(event, EVENTS[path.parent.name, name])
    if int(version) == event.SCHEMA_VERSION:
        written = json.loads(path.read_bytes())
        assert holds(json.loads(msgspec.json.encode(event)), written)


def holds(now, written):
    """Tell whether all that was written is still there; members may have been added anywhere."""
    if isinstance(written, dict):
        return isinstance(now, dict) and all(
            name in now and holds(now[name], value) for name, value in written.items()
        )
    if isinstance(written, list):
        return len(now) == len(written) and all(map(holds, now, written))
    return now == written


@pytest.mark.parametrize("path", GOLDEN_FILES, ids=name_of)
def test_a_golden_event_satisfies_its_published_schema(path):
    name, _, version = path.stem.rpartition(".v")
    service = path.parent.name
    if int(version) != EVENTS[service, name].SCHEMA_VERSION:
        return
    components = json.loads(render()[f"{service}.schemas.json"])
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": components}}
    Draft202012Validator(schema).validate(json.loads(path.read_bytes()))


def test_every_public_message_says_what_it_is_and_is_stored_under_its_name():
    for item in SPEAKING:
        for thing in (*item.events, *item.commands, *item.queries):
            assert (thing.__doc__ or "").strip(), thing
            assert thing.__struct_config__.tag == thing.__name__
