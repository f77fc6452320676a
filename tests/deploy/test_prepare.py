import pytest

from deploy.embedded.layout import Layout
from deploy.embedded.prepare import ensure_keys


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path / "var")
    made.make()
    return made


def test_keys_are_made_once_and_kept(layout):
    ensure_keys(layout, "a1")
    made = layout.master_key.read_bytes()
    ensure_keys(layout, "a1")
    assert layout.master_key.read_bytes() == made


def test_a_lost_master_key_is_never_replaced_silently(layout):
    ensure_keys(layout, "a1")
    layout.master_key.unlink()
    with pytest.raises(SystemExit, match="put it back"):
        ensure_keys(layout, "a1")
    assert not layout.master_key.exists()
