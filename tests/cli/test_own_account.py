"""What people do about themselves with `qm`: password, second factor, profile."""

import io

import pytest
import segno

from shared.kernel.clock import SystemClock
from shared.security.totp import code_at, parse_seed, step_at
from tests.cli.conftest import PASSWORD, Terminal, log_in, one_line

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("in_process")]


def test_changing_the_password_keeps_this_log_in_and_ends_the_others(
    own, installation, person, tmp_path
):
    other = Terminal(tmp_path)
    log_in(other, installation, person["email"], PASSWORD)
    wrong = own.qm("passwd", "--password-stdin", stdin="Wrong-1843\nBernoulli-7\n")
    assert "old: " in one_line(wrong)
    weak = own.qm("passwd", "--password-stdin", stdin=f"{PASSWORD}\nweak\n")
    assert "new: " in one_line(weak)
    own.environ |= {"QM_PASSWORD": PASSWORD, "QM_NEW_PASSWORD": "Bernoulli-7"}
    done = own.qm("passwd")
    assert done.returncode == 0, done.stderr
    assert own.json("user", "show")["id"] == person["id"]
    assert "qm login" in one_line(other.qm("user", "show"))
    log_in(other, installation, person["email"], "Bernoulli-7")


def test_names_are_one_s_own_to_change_and_the_role_is_not(own):
    changed = own.json("user", "update", "me", "--full-name", "Ada", "--description", "counts")
    assert (changed["full_name"], changed["description"]) == ("Ada", "counts")
    assert "role" in one_line(own.qm("user", "update", "me", "--role", "superadmin"))


def begun(own):
    """Begin with a second factor; return what makes the code of the present step or a later one.

    Each step's code is good once and for a step before and after, so the codes of this step and
    the next are good now, one after the other, however slow the machine is.
    """
    told = own.json("totp", "setup", "--show-secret")
    assert told["secret"] in told["uri"]
    seed, clock = parse_seed(told["secret"]), SystemClock()
    return lambda later=0: code_at(seed, step_at(clock.now()) + later)


def test_the_picture_of_a_second_factor_is_drawn_and_its_secret_only_if_asked_for(own):
    quiet = own.qm("totp", "setup")
    assert quiet.returncode == 0
    assert "otpauth" not in quiet.stdout
    assert "secret" not in own.json("totp", "setup")
    drawn = own.qm("totp", "setup", "--show-secret").stdout
    address = drawn.splitlines()[-1].removeprefix("address").strip()
    picture = io.StringIO()
    segno.make(address, micro=False, error="m").terminal(picture, border=4, compact=True)
    assert drawn.startswith(picture.getvalue())


def test_a_confirmed_second_factor_is_asked_for_at_log_in(admin, own, installation, person):
    code = begun(own)
    wrong = own.qm("totp", "confirm", stdin="abc\n")
    assert wrong.returncode == 1
    assert "code: " in wrong.stderr
    assert own.qm("totp", "confirm", stdin=f"{code()}\n").returncode == 0
    assert own.json("user", "show")["totp_enabled"] is True
    login = ("login", "--endpoint", installation.endpoint, "--email", person["email"])
    asked = own.qm(*login, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert asked.returncode == 1
    assert "authenticator" in asked.stderr
    log_in(own, installation, person["email"], PASSWORD, code(later=1))
    changed = admin.json("user", "update", person["id"], "--remove-totp")
    assert changed["totp_enabled"] is False
    log_in(own, installation, person["email"], PASSWORD)


def test_a_second_factor_is_switched_off_with_a_code(own):
    code = begun(own)
    own.json("totp", "confirm", code())
    assert "code: " in one_line(own.qm("totp", "remove", "000"))
    assert own.json("totp", "remove", code(later=1)) == {"totp_enabled": False}
    assert own.json("user", "show")["totp_enabled"] is False
