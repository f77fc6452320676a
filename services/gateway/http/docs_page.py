"""The API's documentation as one page, rendered here from the OpenAPI document.

It needs no script, no font and nothing from the internet.
"""

from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
details { border: 1px solid color-mix(in srgb, currentColor 25%, transparent);
  border-radius: .4rem; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } summary b { display: inline-block; min-width: 4.5rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .2rem .6rem
  .2rem 0; vertical-align: top; } h2 { margin-top: 2rem; }
"""


def render(document: dict[str, Any]) -> str:
    """Return the page."""
    info = document["info"]
    sections: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation["tags"][0]
            sections.setdefault(tag, []).append(_operation(path, method, operation))
    parts = [
        f"<section><h2 id='{escape(tag)}'>{escape(tag)}</h2>{''.join(items)}</section>"
        for tag, items in sorted(sections.items())
    ]
    schemas = "".join(
        _schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])}</p>"
        "<p>For programs: <a href='/openapi.json'>openapi.json</a> (OpenAPI 3.1).</p>"
        f"{''.join(parts)}<section><h2 id='schemas'>schemas</h2>{schemas}</section></body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(_parameter(item) for item in operation["parameters"])
    table = f"<table><tr><th>parameter<th>in<th>type<th>{rows}</table>" if rows else ""
    body = operation.get("requestBody")
    sent = f"<p>Body: {_type(_content(body))}</p>" if body else ""
    answers = "".join(
        f"<tr><td>{escape(status)}<td>{_type(_content(found))}<td>{escape(found['description'])}"
        for status, found in sorted(operation["responses"].items())
    )
    text = escape(operation.get("description", "")).replace("`", "")
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> — "
        f"{escape(operation['summary'])}</summary><p>{text}</p>{sent}{table}"
        f"<table><tr><th>answer<th>body<th>{answers}</table></details>"
    )


def _parameter(item: dict[str, Any]) -> str:
    text = escape(item.get("description", ""))
    return (
        f"<tr><td><code>{escape(item['name'])}</code><td>{escape(item['in'])}"
        f"<td>{_type(item['schema'])}<td>{text}"
    )


def _content(holder: dict[str, Any]) -> dict[str, Any]:
    for media, content in holder.get("content", {}).items():
        found: dict[str, Any] = content.get("schema") or {"type": media}
        return found
    return {}


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{'*' if field in required else ''}<td>{_type(found)}"
        f"<td>{escape(found.get('description', ''))}"
        for field, found in schema.get("properties", {}).items()
    )
    text = escape(schema.get("description", "")).replace("`", "")
    return (
        f"<details id='schema-{escape(name)}'><summary><code>{escape(name)}</code></summary>"
        f"<p>{text}</p><table>{rows}</table></details>"
    )


def _type(schema: dict[str, Any]) -> str:
    """Return a schema in a few words, with links to the named ones."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#schema-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_type(item) for item in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(item))}</code>" for item in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return escape(kind if isinstance(kind, str) else " or ".join(kind))
