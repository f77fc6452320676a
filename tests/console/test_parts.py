"""The console's parts that need no gateway."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from jinja2 import UndefinedError

from services.gateway.documents.stats import Cause
from services.gateway.pages import figures, words
from services.gateway.pages.assets import HTMX_CONFIG, load_assets
from services.gateway.pages.check_words import CHECKS as CHECK_WORDS
from services.gateway.pages.check_words import MEASURED
from services.gateway.pages.forms import Form
from services.gateway.pages.listing import Listing
from services.gateway.pages.refusals import speaker
from services.gateway.pages.rendering import TEMPLATE_DIRECTORY, Renderer
from services.gateway.pages.usage_words import WHY
from services.gateway.pages.visits import START, own_address
from services.scheduler.domain.idleness import RESOURCES
from shared.contracts.scheduler import CheckName
from shared.kernel.rejections import FieldError, Rejection, all_invalid
from tests.console.samples import CHECKS, SESSIONS, USAGE

STATIC = Path(TEMPLATE_DIRECTORY).parent / "static"


def render(session, language="en", **more):
    context = {"session": session, "shows_owner": True} | more
    return Renderer(load_assets()).render(language, "sessions/_row.html", context)


def test_every_reason_that_the_scheduler_gives_has_words_in_every_language():
    root = Path(__file__).parents[2]
    made = "".join(path.read_text() for path in (root / "services" / "scheduler").rglob("*.py"))
    codes = set(re.findall(r'Reason\(\s*code="([a-z-]+)"', made))
    assert {"over-limit", "not-enough-resources", "waits-for-dependencies"} <= codes
    assert codes <= set(words.REASONS)
    for code in codes:
        waits = SESSIONS[0] | {"reason": {"code": code, "message": "unsaid", "violations": []}}
        assert "unsaid" not in render(waits)
        assert words.REASONS[code] not in render(waits, "ko")


def test_what_people_typed_is_never_markup():
    row = render(SESSIONS[0] | {"name": "<script>alert(1)</script>", "owner": '"><img src=x>'})
    assert "<script" not in row
    assert "<img" not in row
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in row


def test_a_row_speaks_the_reader_s_language():
    assert "Pending" in render(SESSIONS[0])
    assert "대기" in render(SESSIONS[0], "ko")


def test_a_template_that_asks_for_what_is_not_there_fails():
    with pytest.raises(UndefinedError):
        Renderer(load_assets()).render("en", "sessions/_row.html", {"session": {"id": "1"}})


def test_an_asset_s_address_changes_with_its_content_only():
    assets = load_assets()
    assert assets.url("app.js") == load_assets().url("app.js")
    found = assets.find(assets.url("htmx.min.js"))
    assert found is not None
    assert found.content_type.startswith("text/javascript")
    assert assets.find("/static/0000000000000000/app.js") is None


def test_htmx_may_not_evaluate_text_or_leave_the_site():
    config = json.loads(HTMX_CONFIG)
    assert config["allowEval"] is False
    assert config["selfRequestsOnly"] is True
    assert config["includeIndicatorStyles"] is False


def test_no_template_holds_what_the_content_policy_forbids():
    inline = re.compile(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:|https?://")
    for path in TEMPLATE_DIRECTORY.rglob("*.html"):
        assert inline.search(path.read_text()) is None, path


def test_our_own_scripts_stay_small_and_call_nobody_else():
    for path in STATIC.glob("*.js"):
        script = path.read_text()
        assert len(script.splitlines()) <= 200, path
        assert "http" not in script.replace("HTTP ", ""), path
    for sheet in STATIC.glob("*.css"):
        assert re.search(r"url\(|@import", sheet.read_text()) is None, sheet


def test_a_link_of_a_list_keeps_the_filters_and_drops_what_is_default():
    listing = Listing(
        "/console/sessions",
        130,
        50,
        offset=50,
        sort="-created_at",
        default_sort="-created_at",
        kept=(("tab", "running"), ("name", "a&b")),
    )
    assert listing.here == "/console/sessions?tab=running&name=a%26b&offset=50"
    assert listing.url(sort="name", offset=None).endswith("?tab=running&name=a%26b&sort=name")
    assert listing.url(tab=None, offset=None) == "/console/sessions?name=a%26b"
    assert (listing.first, listing.last, listing.next_offset) == (51, 100, 100)


def test_a_refusal_is_laid_over_the_fields_and_keeps_what_was_typed():
    form = Form(values={"cpu": "two"})
    rejection = all_invalid(
        (
            FieldError("resources.cpu", "not_a_number", "not an amount"),
            FieldError("image", "unknown", "no such image"),
            FieldError("elsewhere", "odd", "belongs to no field"),
        )
    )
    fields = {"resources.cpu": "cpu", "image": "image"}
    shown = form.refused(rejection, fields=fields, say=speaker("en"))
    assert shown.value("cpu") == "two"
    assert shown.error("cpu") == "not an amount"
    assert shown.error("image") == "no such image"
    assert shown.refusal == "belongs to no field"


def test_a_refusal_is_said_in_the_reader_s_language_where_the_catalogue_knows_it():
    taken = Rejection(kind="conflict", code="session_name_taken", message="You have it already.")
    shown = Form().refused(taken, fields={"session_name_taken": "name"}, say=speaker("ko"))
    assert shown.error("name") == "이 이름의 세션이 아직 끝나지 않았습니다."
    assert shown.refusal == ""
    odd = Rejection(kind="conflict", code="odd", message="Something new.")
    assert Form().refused(odd, fields={}, say=speaker("ko")).refusal == "Something new."


def test_a_service_that_is_away_is_said_above_the_form_as_something_that_passes():
    away = Rejection(kind="unavailable", code="service_away", message="Try again.")
    shown = Form(values={"name": "a"}).refused(away, fields={}, say=speaker("en"), request_id="r-1")
    assert (shown.refusal, shown.will_pass, shown.request_id) == ("Try again.", True, "r-1")
    assert shown.value("name") == "a"


@pytest.mark.parametrize(
    "address",
    ["https://evil.test/", "//evil.test", "/console//../x\n", "/v1/users", "", "/consolex"],
)
def test_a_way_back_leads_nowhere_but_into_the_console(address):
    assert own_address(address) == START


def test_a_way_back_may_carry_a_query():
    assert own_address("/console/queue?group=gpu&offset=100") == (
        "/console/queue?group=gpu&offset=100"
    )


@pytest.mark.parametrize(
    ("amount", "said"),
    [("0", "0 B"), ("1023", "1023 B"), ("1024", "1 KiB"), (1536, "1.5 KiB"), (2**40, "1 TiB")],
)
def test_bytes_are_said_with_a_binary_unit(amount, said):
    assert figures.as_bytes(amount) == said


def test_a_share_of_nothing_is_nothing_and_too_much_is_alarming():
    assert figures.share("3", "0") == 0
    assert figures.share("1.5", "3") == 50
    assert figures.level(figures.share("4", "4")) == "high"
    assert figures.level(figures.share("5", "4")) == "full"


def test_what_a_session_waits_for_and_how_long_it_may_run_is_told():
    other = "01a20a59-fc6d-7150-bd3d-ee6090045615"
    waits = {
        "code": "waits-for-dependencies",
        "message": "…",
        "violations": [{"scope": f"session:{other}", "slot": "result", "requested": "success"}],
    }
    early = {
        "code": "not-due-yet",
        "message": "…",
        "violations": [
            {"scope": "session", "slot": "starts_at", "requested": "2199-12-31T14:59:59.000000Z"}
        ],
    }
    assert other in render(SESSIONS[0] | {"reason": waits})
    assert "not before 2199-12-31 14:59:59 UTC" in render(SESSIONS[0] | {"reason": early})
    limited = SESSIONS[3] | {"expires_at": "2199-01-02T03:04:05Z", "depends_on": [other]}
    context = {"session": limited, "usage": None, "checks": [], "is_update": False}
    state = Renderer(load_assets()).render("en", "sessions/_state.html", context)
    assert "Runs until" in state
    assert "2199-01-02 03:04:05 UTC" in state
    assert f'href="/console/sessions/{other}"' in state


def usage_of(stats, language="en"):
    context = {"session": SESSIONS[3], "usage": stats, "checks": [], "is_update": False}
    return Renderer(load_assets()).render(language, "sessions/_state.html", context)


def test_what_a_session_uses_is_shown_beside_what_it_was_given():
    shown = usage_of(USAGE)
    assert '<progress max="100" value="95" data-level="high" aria-label="CPU cores">' in shown
    assert "<b>1.90</b> / 2<" in shown
    assert "<b>2 GiB</b> / 4 GiB" in shown
    assert "<b>61 %</b>" in shown
    assert "<b>10 GiB</b> / 80 GiB" in shown
    assert "Written" not in shown
    assert "data-refresh" not in usage_of(None)


def test_why_nothing_is_measured_is_said_in_every_language():
    for code in get_args(Cause):
        why = {"why": {"code": code, "message": "unsaid"}}
        assert "unsaid" not in usage_of(why)
        assert WHY[code] in usage_of(why)
        assert WHY[code] not in usage_of(why, "ko")


def checks_of(checks, language="en"):
    context = {"session": SESSIONS[3], "checks": checks}
    return Renderer(load_assets()).render(language, "sessions/_checks.html", context)


def test_what_may_end_a_session_is_shown_with_how_far_off_it_is():
    shown = checks_of(CHECKS)
    assert "When its lifetime is over" in shown
    assert "in 24 h 0 min" in shown
    assert "2026-04-13 09:40:00 UTC" in shown
    assert "CPU 3.2 %, at least 5 %" in shown
    assert "Not as things are" in shown
    assert checks_of([]).strip() == ""
    assert "The scheduler does not answer now" in checks_of(None)
    unmeasured = CHECKS[2] | {"detail": CHECKS[2]["detail"] | {"judged_from": None}}
    assert "Not measured yet" in checks_of([unmeasured])


def test_every_check_and_what_it_measures_has_words_in_every_language():
    assert set(CHECK_WORDS) == set(get_args(CheckName))
    assert set(MEASURED) == set(RESOURCES)
    for code, text in CHECK_WORDS.items():
        assert text in checks_of([CHECKS[0] | {"check": code}])
        assert text not in checks_of([CHECKS[0] | {"check": code}], "ko")
