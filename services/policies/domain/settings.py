"""The cluster's settings: typed values that say how other services act."""

import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from services.policies.domain.maxima import PREFIX, Maxima
from shared.contracts.base import Event
from shared.contracts.policies import (
    SETTINGS,
    ChangeSettings,
    PoliciesEvent,
    ResetSettings,
    Setting,
    SettingChanged,
    SettingReset,
    SettingValue,
)
from shared.kernel.rejections import FieldError, Rejection, all_invalid

SCHEDULER: Final = "scheduler.type"
RETRIES: Final = "scheduler.retries_to_skip"
INTEGER_MAX: Final = 2**53 - 1
NAMED: Final = frozenset(
    {"not_a_choice", "only_fifo", "out_of_range", "unknown_setting", "wrong_type"}
)
_LINE_BREAKS: Final = frozenset("\n\r\t")
_UNPRINTABLE: Final = frozenset({"Cc", "Cs"})


class Settings(msgspec.Struct, frozen=True):
    """The settings that somebody has changed; the others have their defaults."""

    values: Mapping[str, SettingValue] = MappingProxyType({})

    def __getitem__(self, key: str) -> SettingValue:
        """Return what a setting is now, changed or not."""
        return self.values[key] if key in self.values else SETTINGS[key].default


SettingsCommand: TypeAlias = ChangeSettings | ResetSettings
INITIAL: Final = Settings()


def evolve(state: Settings, event: Event) -> Settings:
    """Return the settings after an event."""
    if isinstance(event, SettingChanged):
        return Settings({**state.values, event.setting: event.value})
    if isinstance(event, SettingReset):
        return Settings({key: v for key, v in state.values.items() if key != event.setting})
    return state


def decide(
    state: Settings, command: SettingsCommand, _context: None = None
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Change all that is given and different, or reset what has been changed; or nothing."""
    if isinstance(command, ResetSettings):
        return _reset(state, command)
    errors = [error for key, value in command.values.items() for error in _value_errors(key, value)]
    if not errors:
        errors = list(_together_errors(state, command.values))
    if errors:
        return all_invalid(tuple(errors), NAMED)
    return tuple(
        SettingChanged(setting=key, value=value)
        for key, value in command.values.items()
        if value != state[key]
    )


def maxima(state: Settings) -> Maxima:
    """Return the most that policies may give."""
    most: dict[str, int | None] = {}
    for key in SETTINGS:
        value = state[key]
        if key.startswith(PREFIX) and (value is None or isinstance(value, int)):
            most[key.removeprefix(PREFIX)] = value
    return most


def _reset(state: Settings, command: ResetSettings) -> tuple[PoliciesEvent, ...] | Rejection:
    wished = dict.fromkeys(command.settings or state.values)
    errors = tuple(
        _unknown(key) for key in wished if key not in SETTINGS and key not in state.values
    )
    if errors:
        return all_invalid(errors, NAMED)
    return tuple(SettingReset(setting=key) for key in wished if key in state.values)


def _unknown(key: str) -> FieldError:
    text = f"There is no setting '{key[:64]}'; the schema of the settings lists all there are."
    return FieldError(key[:64], "unknown_setting", text)


def _value_errors(key: str, value: SettingValue) -> Iterator[FieldError]:
    """Yield what is wrong with the value of one setting."""
    setting = SETTINGS.get(key)
    if setting is None:
        yield _unknown(key)
    elif value is None:
        if not setting.nullable:
            text = f"{key} can't be null; DELETE the setting to give it its default again."
            yield FieldError(key, "wrong_type", text)
    elif setting.type == "boolean":
        if not isinstance(value, bool):
            yield FieldError(key, "wrong_type", f"{key}: give true or false.")
    elif setting.type == "integer":
        yield from _integer_errors(key, setting, value)
    elif not isinstance(value, str):
        yield FieldError(key, "wrong_type", f"{key}: give a text.")
    elif setting.type == "choice":
        if value not in setting.choices:
            text = f"{key}: give one of {', '.join(setting.choices)}."
            yield FieldError(key, "not_a_choice", text)
    else:
        yield from _text_errors(key, setting, value)


def _integer_errors(key: str, setting: Setting, value: SettingValue) -> Iterator[FieldError]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield FieldError(key, "wrong_type", f"{key}: give a whole number.")
        return
    least = -INTEGER_MAX if setting.least is None else setting.least
    most = INTEGER_MAX if setting.most is None else setting.most
    if not least <= value <= most:
        yield FieldError(key, "out_of_range", f"{key}: give a number from {least} to {most}.")


def _text_errors(key: str, setting: Setting, value: str) -> Iterator[FieldError]:
    if setting.most is not None and len(value) > setting.most:
        text = f"{key}: give at most {setting.most} characters."
        yield FieldError(key, "out_of_range", text)
    elif any(unicodedata.category(char) in _UNPRINTABLE for char in set(value) - _LINE_BREAKS):
        text = f"{key}: a text holds no control characters other than tabs and line breaks."
        yield FieldError(key, "control_character", text)


def _together_errors(state: Settings, given: Mapping[str, SettingValue]) -> Iterator[FieldError]:
    """Yield what is wrong with settings that are right one by one."""
    if given.get(RETRIES) and given.get(SCHEDULER, state[SCHEDULER]) != "fifo":
        text = f"{RETRIES}: only FIFO skips; give 0, or make the scheduler fifo."
        yield FieldError(RETRIES, "only_fifo", text)
