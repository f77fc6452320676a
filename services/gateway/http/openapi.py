"""The OpenAPI document, made from the same declarations that guard and decode the routes."""

import re
from collections.abc import Iterable, Iterator
from inspect import getdoc
from typing import Any, Final

import msgspec
from litestar.handlers import HTTPRouteHandler

from services.gateway.api.routing import OPERATION, Operation
from services.gateway.auth.authenticator import COOKIE
from services.gateway.auth.permissions import PUBLIC
from services.gateway.http.parameters import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    OFFSET_MAX,
    Field,
    FieldKind,
    ListSpec,
)
from services.gateway.http.problems import PROBLEM_TYPE, Problem
from services.gateway.http.times import bounds_of
from services.gateway.version import VERSION

REF: Final = "#/components/schemas/{name}"
_PATH_PARAMETER: Final = re.compile(r"\{(\w+):\w+\}")
_TYPES: Final = {FieldKind.FLAG: "boolean", FieldKind.NUMBER: "integer"}
_PROBLEMS: Final = {
    "400": "The request cannot be understood; `errors` names the fields.",
    "401": "Nobody proved who they are, or not well enough.",
    "403": "Visible, but not allowed.",
    "404": "Not there, or outside of one's sight.",
    "409": "In conflict with what exists; `code` names it.",
    "413": "The body is too large.",
    "422": "Well-formed, but against a rule.",
    "429": "Too many requests; see `Retry-After`.",
    "503": "The owning service is away; see `Retry-After`.",
}
_JSON: Final = "application/json"
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_TEXT: Final = (
    "The control plane of a shared AI compute cluster. Every refusal is one shape (Problem); "
    "lists take limit, offset or cursor, sort and filters; writes take an Idempotency-Key."
)


def document(routes: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """Return the whole OpenAPI 3.1 document."""
    kept = [(handler, found) for handler in routes if (found := _operation(handler)) is not None]
    types = {Problem, *(kind for _, found in kept for kind in _structs(found))}
    ordered = sorted(types, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for handler, found in kept:
        for path in sorted(handler.paths):
            shown = _PATH_PARAMETER.sub(r"{\1}", path)
            for method in sorted(handler.http_methods):
                paths.setdefault(shown, {})[method.lower()] = _describe(
                    handler, found, shown, str(method)
                )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Quartermaster", "version": VERSION, "description": _TEXT},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas, **_lists(kept, schemas)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Signature",
                    "description": "HTTP message signature (RFC 9421) with a keypair's secret.",
                },
            },
        },
    }


def _operation(handler: HTTPRouteHandler) -> Operation | None:
    found = handler.opt.get(OPERATION)
    return found if isinstance(found, Operation) else None


def _structs(found: Operation) -> Iterator[Any]:
    for kind in (found.body, found.answer, found.page):
        if isinstance(kind, type):
            yield kind


def _lists(
    kept: list[tuple[HTTPRouteHandler, Operation]], schemas: dict[str, Any]
) -> dict[str, Any]:
    """Return the schema of each list's page."""
    pages: dict[str, Any] = {}
    for _, found in kept:
        if _is_page(found):
            more = schemas[found.page.__name__] if found.page is not None else {}
            pages[f"{found.answer.__name__}Page"] = {
                "type": "object",
                "required": ["items", "total", "next_cursor", *more.get("required", ())],
                "properties": {
                    "items": {"type": "array", "items": _ref(found.answer.__name__)},
                    "total": {"type": "integer"},
                    "next_cursor": {"type": ["string", "null"]},
                    **more.get("properties", {}),
                },
            }
    return pages


def _is_page(found: Operation) -> bool:
    is_list = found.resource is not None or found.listed is not None
    return is_list or any(item.name == "limit" for item in found.parameters)


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REF.format(name=name)}


def _describe(
    handler: HTTPRouteHandler, found: Operation, path: str, method: str
) -> dict[str, Any]:
    text = (getdoc(handler.fn) or "").strip()
    described: dict[str, Any] = {
        "operationId": f"{method.lower()}_{re.sub(r'[^a-z0-9]+', '_', path.lower()).strip('_')}",
        "summary": text.partition("\n")[0],
        "tags": [path.split("/")[2] if path.startswith("/v1/") else "other"],
        "parameters": list(_parameters(found, path, method)),
        "responses": {str(found.status): _success(found), **_refusals(found, method)},
    }
    if found.action != PUBLIC:
        described["security"] = [{"bearer": []}, {"cookie": []}, {"signature": []}]
        described["description"] = f"Permission: `{found.action}`."
    if found.body is not None:
        schema = {} if isinstance(found.body, str) else _ref(found.body.__name__)
        content = {
            media: {"schema": schema if media == _JSON else {"type": "string"}}
            for media in found.media
        }
        described["requestBody"] = {"required": found.needs_body, "content": content}
    if method in _WRITES and found.action != PUBLIC:
        described["responses"]["202"] = {"description": "Accepted, not yet visible: a task."}
    return described


def _parameters(found: Operation, path: str, method: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for item in found.parameters:
        yield {"name": item.name, "in": "query", "schema": item.schema, "description": item.text}
    spec = found.resource.spec if found.resource is not None else found.listed
    if spec is not None:
        yield from _page_parameters()
    spec = spec or found.narrowed
    if spec is not None:
        yield from _list_parameters(spec)
    if method in _WRITES and found.action != PUBLIC:
        text = "The same key returns the first answer."
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "maxLength": 255},
            "description": text,
        }


def _query(name: str, schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _page_parameters() -> Iterator[dict[str, Any]]:
    limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    offset = {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX, "default": 0}
    yield _query("limit", limit, "How many.")
    yield _query("offset", offset, "How many to skip.")
    yield _query("cursor", {"type": "string"}, "The next_cursor of the page before.")


def _list_parameters(spec: ListSpec) -> Iterator[dict[str, Any]]:
    names = ", ".join(field.name for field in spec.fields if field.sortable)
    if names:
        text = f"Fields, separated by commas, `-` before one descends: {names}."
        yield _query("sort", {"type": "string", "default": spec.default_sort}, text)
    for field in spec.fields:
        if field.filterable and field.kind is FieldKind.TIME:
            since, before = bounds_of(field.name)
            time = {"type": "string", "format": "date-time"}
            yield _query(since, time, "Nothing before this time.")
            yield _query(before, time, "Only what is before this time.")
        elif field.filterable:
            yield _query(field.name, _filter_schema(field), _filter_text(field))


def _filter_schema(field: Field) -> dict[str, Any]:
    item: dict[str, Any] = {"type": _TYPES.get(field.kind, "string")}
    if field.choices is not None:
        item["enum"] = list(field.choices)
    return {"type": "array", "items": item}


def _filter_text(field: Field) -> str:
    if field.kind is FieldKind.AMONG:
        return "Has any of these."
    return "Contains, whatever the case." if field.kind is FieldKind.TEXT else "Is any of these."


def _success(found: Operation) -> dict[str, Any]:
    if found.answer is None:
        return {"description": "Done."}
    if isinstance(found.answer, str):
        return {"description": "The content.", "content": {found.answer: {}}}
    name = found.answer.__name__
    schema = _ref(f"{name}Page" if _is_page(found) else name)
    return {"description": "The answer.", "content": {"application/json": {"schema": schema}}}


def _refusals(found: Operation, method: str) -> dict[str, Any]:
    codes = {"400", "429", "503"}
    if found.action != PUBLIC or method in _WRITES:
        codes |= {"401"}
    if found.action != PUBLIC:
        codes |= {"403", "404"}
    if method in _WRITES:
        codes |= {"409", "413", "422"}
    content = {PROBLEM_TYPE: {"schema": _ref("Problem")}}
    return {code: {"description": _PROBLEMS[code], "content": content} for code in sorted(codes)}
