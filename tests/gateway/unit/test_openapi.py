import re

import msgspec
import pytest

from services.gateway.application import ROUTES
from services.gateway.http import docs_page
from services.gateway.http.openapi import document

DOCUMENT = document(ROUTES)
SHOWN = {"CreatedUser", "NewKeypair", "NewTotp", "CreatedKeypair", "RevealedKeypair"}
OPERATIONS = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere():
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) <= known


def test_every_operation_has_a_name_of_its_own_and_a_sentence():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))
    assert all(operation["summary"].endswith(".") for _, _, operation in OPERATIONS)


def test_every_path_parameter_is_described():
    for path, _, operation in OPERATIONS:
        described = {item["name"] for item in operation["parameters"] if item["in"] == "path"}
        assert described == set(re.findall(r"\{(\w+)\}", path))


def test_every_route_is_in_the_document():
    listed = {
        (re.sub(r"\{(\w+):\w+\}", r"{\1}", path), str(method))
        for handler in ROUTES
        for path in handler.paths
        for method in handler.http_methods
    }
    assert {(path, method.upper()) for path, method, _ in OPERATIONS} == listed


@pytest.mark.parametrize("name", ["UserDocument", "SessionDocument", "AgentDocument", "Problem"])
def test_the_main_objects_are_described(name):
    assert DOCUMENT["components"]["schemas"][name]["properties"]


def test_no_answer_but_those_that_show_one_describes_a_secret():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        secret = {field for field in schema.get("properties", {}) if "secret" in field}
        assert not secret or name in SHOWN, name


def test_the_page_needs_nothing_from_elsewhere():
    page = docs_page.render(DOCUMENT)
    assert not re.search(r"(src|href)=['\"](https?:)?//", page)
    assert "<script" not in page
    for path, _, _ in OPERATIONS:
        assert path in page


def test_the_document_is_json():
    assert msgspec.json.decode(msgspec.json.encode(DOCUMENT))["openapi"] == "3.1.0"
