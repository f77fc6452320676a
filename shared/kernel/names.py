"""Names that people give and that stand in paths."""

from collections.abc import Iterator

from shared.kernel.rejections import FieldError


def name_errors(name: str, longest: int) -> Iterator[FieldError]:
    """Yield what is wrong with a name of at most `longest` characters."""
    if not 0 < len(name) <= longest:
        yield FieldError("name", "length", f"A name has 1 to {longest} characters.")
    elif not name.isprintable() or name != name.strip() or "/" in name or name in {".", ".."}:
        text = "A name holds no control characters, no '/', and no spaces at its ends."
        yield FieldError("name", "characters", text)
