"""The settings in the API: every one of them, nested as their keys say."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.actions.settings import PatchSettingsBody, flat
from services.gateway.documents.settings import SettingsDocument, nested
from services.gateway.http.problems import Refused
from shared.contracts.policies import SETTINGS

VALUES = st.dictionaries(
    st.sampled_from(sorted(SETTINGS)),
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63) + 1, 2**63 - 1), st.text()),
)


@given(values=VALUES)
def test_what_is_nested_is_flattened_to_the_same_settings(values):
    assert flat(nested(values)) == values


def test_the_documents_describe_every_setting():
    defaults = nested({key: setting.default for key, setting in SETTINGS.items()})
    shown = msgspec.convert({**defaults, "schema": {}}, SettingsDocument)
    assert {**msgspec.to_builtins(shown), "schema": {}} == {**defaults, "schema": {}}
    assert msgspec.to_builtins(msgspec.convert(defaults, PatchSettingsBody)) == defaults


@pytest.mark.parametrize("wrong", [1.5, [], {"x": 1}, 2**64])
def test_what_no_setting_can_be_is_refused_by_its_name(wrong):
    with pytest.raises(Refused) as refused:
        flat({"overlay_mtu": wrong, "policy_maxima": {"cuda.device": wrong}})
    named = [error.field for error in refused.value.rejection.errors]
    assert named == ["overlay_mtu", "policy_maxima.cuda.device"]
