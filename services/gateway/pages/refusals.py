"""Refusals in the reader's language.

Services say in English what was wrong, with the numbers. Where the reader's language is another,
the code of a refusal that the catalogue knows is said in it; one that it doesn't is shown as told.
"""

from collections.abc import Callable, Mapping
from typing import Final

from services.gateway.pages.languages import DEFAULT_LANGUAGE, N_, translations

Say = Callable[[str, str], str]
KNOWN: Final[Mapping[str, str]] = {
    "invalid_credentials": N_("E-mail or password is not right, or the account is not active."),
    "verification_needed": N_("This account has not been verified yet."),
    "otp_required": N_("Give the code of your second factor too."),
    "otp_invalid": N_("This code is not right, or was used before."),
    "login_locked": N_("Too many failed log-ins; try again later."),
    "session_name": N_(
        "1 to 64 letters, digits, dots, dashes and underscores, a letter or a digit first and last."
    ),
    "session_name_taken": N_("You have a session of this name that has not ended yet."),
    "not_a_number": N_("This is not an amount."),
    "unit_not_allowed": N_("A count has no unit."),
    "too_fine": N_("This is finer than what can be handed out."),
    "out_of_range": N_("This is outside of what is allowed."),
    "required": N_("This is needed."),
    "negative": N_("This can't be negative."),
    "whole_devices": N_("Devices are given in wholes."),
    "unknown": N_("There is none of this name."),
    "malformed": N_("This can't be read."),
    "unclosed_quote": N_("A quotation mark is opened and never closed."),
    "not_a_pair": N_("Write it as NAME=VALUE."),
    "no_agent_could_hold": N_("No agent could ever hold this, not even an empty one."),
    "resource_group_not_found": N_("There is no such resource group."),
    "resource_group_inactive": N_("This resource group is not active."),
    "resource_group_not_allowed": N_("This resource group is not open to you here."),
    "no_resource_group": N_("You may use no resource group that takes sessions of this type."),
    "session_type_not_allowed": N_("This resource group does not take sessions of this type."),
    "below_image_minimum": N_("This is less than the image needs."),
    "not_below_memory": N_("Shared memory is a part of the memory and must be less."),
    "agent_not_found": N_("There is no such agent in this resource group."),
    "agent_not_alive": N_("This agent is not alive."),
    "image_not_offered": N_("None of these agents offers the image."),
    "image_not_found": N_("No agent offers this image."),
    "no_answer": N_("The service did not answer in time. Send it again: nothing is done twice."),
    "service_away": N_("The service is away. Nothing was changed; try again in a moment."),
    "overloaded": N_("There is too much to do at the moment; try again."),
    "forbidden": N_("Your role does not include this action."),
    "cross_site_request": N_("A change must come from the console itself."),
}


def speaker(language: str) -> Say:
    """Return what turns a refusal's code and English message into the reader's language."""
    if language == DEFAULT_LANGUAGE:
        return lambda _, message: message
    text = translations(language).gettext
    return lambda code, message: text(KNOWN[code]) if code in KNOWN else message
