"""What every installation begins with breaks no rule."""

from services.policies.seed import seeds


def test_the_built_in_ones_break_no_rule_and_have_distinct_marks() -> None:
    marks = [seed.mark for seed in seeds()]
    assert len(marks) == len(set(marks)) == 6
