"""How figures are put beside their budgets.

What is asserted is a ratio of what was measured side by side; seconds are only told, for they
depend on the machine and on what else it does.
"""

import statistics


def beside(value, budget, unit, *, at_least=False):
    """Return a figure in words: its value, its budget, and whether it is within."""
    is_within = value >= budget if at_least else value <= budget
    sign = "at least" if at_least else "at most"
    verdict = "within" if is_within else "OVER" if not at_least else "BELOW"
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # enough digits
    return f"{shown} {unit} (budget {sign} {budget:,g}: {verdict})"


def median_ratio(values, limits):
    """Return the ratio of the medians of rounds that took turns."""
    return statistics.median(values) / statistics.median(limits)


def round_ratio(values, limits):
    """Return the median of what each round's figure is of the other of the same round."""
    return statistics.median(value / limit for value, limit in zip(values, limits, strict=True))


def table(rows):
    """Return rows of words in columns, the first of which is on the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
