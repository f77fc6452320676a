"""Submitting sessions from the console: a form that keeps what was typed."""

import shlex
from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post

from services.gateway.actions.sessions import CreateSessionBody, create_sessions
from services.gateway.http.problems import Refused
from services.gateway.pages.console import Console
from services.gateway.pages.failures import toast
from services.gateway.pages.forms import Form
from services.gateway.pages.owners import list_page
from services.gateway.pages.sessions import PATH
from services.gateway.pages.visits import Visit
from services.gateway.pages.words import Words
from services.gateway.reads.agents import IMAGES
from services.gateway.reads.sessions import RESOURCE_GROUPS
from shared.eventlog.records import CommandKey
from shared.kernel.ids import is_id, new_id
from shared.kernel.rejections import HTTP_STATUS, FieldError, all_invalid

TYPES: Final = ("batch", "interactive", "inference")
BLANK: Final = {
    "type": "batch",
    "resource_group": "default",
    "cpu": "1",
    "mem": "256m",
    "cluster_size": "1",
    "priority": "10",
    "count": "1",
}
FIELDS: Final = {
    "name": "name",
    "session_name_taken": "name",
    "type": "type",
    "session_type": "type",
    "command": "command",
    "image": "image",
    "resource_group": "resource_group",
    "cluster_size": "cluster_size",
    "priority": "priority",
    "count": "count",
    "environ": "environ",
    "cpu": "cpu",
    "mem": "mem",
    "resources.cpu": "cpu",
    "resources.mem": "mem",
    "resources": "other_slots",
}
NUMBERS: Final = ("cluster_size", "priority", "count")


@get("/sessions/new")
async def new_session_form(request: Request[Any, Any, Any], console: Console) -> Response[str]:
    """Show the empty form, in a dialog or on a page of its own."""
    visit = Visit(request, console)
    return await _form(visit, Form(values=BLANK, idempotency_key=new_id()))


@post("/sessions", status_code=200)
async def submit_session(request: Request[Any, Any, Any], console: Console) -> Response[Any]:
    """Submit what the form says; a refusal shows the form again with what was wrong."""
    visit = Visit(request, console)
    fields = visit.form()
    form = Form(values=fields, idempotency_key=fields.get("idempotency_key", ""))
    try:
        written = await create_sessions(visit.gateway, visit.call, _body(fields), _key(visit, form))
    except Refused as refused:
        return await _refused(visit, form, refused)
    message = visit.text("The session was submitted.")
    if visit.is_fragment:
        return Response(
            None, status_code=204, headers=toast(message, "close-dialog", "sessions-changed")
        )
    session_ids = written.result["session_ids"]
    address = PATH if len(session_ids) > 1 else f"{PATH}/{session_ids[0]}"
    return visit.go(f"{address}?done=submitted")


def _key(visit: Visit, form: Form) -> CommandKey | None:
    """Return the key under which a form, however often it is sent, is submitted once."""
    if not is_id(form.idempotency_key):
        return None
    typed = "\n".join(f"{name}={value}" for name, value in sorted(form.values.items()))
    digest = visit.gateway.keyring.fingerprint("form", typed)
    return CommandKey(f"{visit.caller().user_id}:{form.idempotency_key}", digest)


def _body(fields: dict[str, str]) -> CreateSessionBody:
    """Return what the form asks for; raises Refused (422) for what can't even be read."""
    errors: list[FieldError] = []
    body: dict[str, Any] = {
        name: fields.get(name, "").strip() for name in ("name", "type", "image", "resource_group")
    }
    body["resources"] = {
        name: fields[name].strip() for name in ("cpu", "mem") if fields.get(name, "").strip()
    } | _pairs("resources", fields.get("other_slots", "").split(), errors)
    body["environ"] = _pairs("environ", fields.get("environ", "").splitlines(), errors)
    for name in NUMBERS:
        text = fields.get(name, "").strip()
        if text.isascii() and text.isdecimal() and len(text) < 10:
            body[name] = int(text)
        elif text:
            errors.append(FieldError(name, "not_a_number", "This is a whole number."))
    try:
        words = shlex.split(fields.get("command", ""))
        body |= {"command": words} if words else {}
    except ValueError:
        message = "A quotation mark is opened and never closed."
        errors.append(FieldError("command", "unclosed_quote", message))
    if errors:
        raise Refused(all_invalid(tuple(errors)))
    if body["type"] not in TYPES:
        raise Refused(all_invalid((FieldError("type", "unknown", "Choose one of the types."),)))
    return msgspec.convert(body, CreateSessionBody)


def _pairs(name: str, lines: list[str], errors: list[FieldError]) -> dict[str, str]:
    found = {}
    for line in lines:
        if not line.strip():
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            message = f"'{line[:40]}' is not NAME=VALUE."
            errors.append(FieldError(name, "not_a_pair", message))
        found[key.strip()] = value.rstrip("\r")
    return found


async def _refused(visit: Visit, form: Form, refused: Refused) -> Response[str]:
    rejection = refused.rejection
    if rejection.kind == "unauthenticated":
        raise refused
    shown = form.refused(rejection, fields=FIELDS, say=visit.say, request_id=visit.call.request_id)
    return await _form(visit, shown, status=refused.status or int(HTTP_STATUS[rejection.kind]))


async def _form(visit: Visit, form: Form, status: int = 200) -> Response[str]:
    principal, reads = visit.caller(), visit.gateway.reads
    images, _ = await list_page(reads, IMAGES, principal, {"limit": ["500"]})
    groups, _ = await list_page(
        reads, RESOURCE_GROUPS, principal, {"is_active": ["true"], "limit": ["500"]}
    )
    words = Words(visit.catalogue)
    context = {
        "form": form,
        "types": [(code, words.label(code)) for code in TYPES],
        "images": [(name, name) for name in sorted({image["canonical"] for image in images})],
        "groups": [(group["name"], group["name"]) for group in groups],
    }
    if visit.is_fragment:
        return visit.html("sessions/_dialog.html", context, status=status)
    return await visit.page("sessions", "sessions/new.html", context, status=status)
