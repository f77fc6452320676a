"""A form as its template sees it: what was typed, and what was wrong with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.kernel.rejections import Rejection


@dataclass
class Form:
    """The values of a form's fields and, after a refusal, the reasons."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""
    will_pass: bool = False
    request_id: str = ""
    idempotency_key: str = ""

    def value(self, name: str) -> str:
        """Return what stands in a field."""
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        """Return what is wrong with a field; empty when nothing is."""
        return self.errors.get(name, "")

    def refused(
        self,
        rejection: Rejection,
        *,
        fields: Mapping[str, str],
        say: Callable[[str, str], str],
        request_id: str = "",
    ) -> "Form":
        """Return this form with a refusal laid over its fields.

        `fields` maps the names that errors carry (or begin with), or the refusal's own code, to
        the form's fields. What belongs to none is said above the form. `say` translates.
        """
        errors: dict[str, str] = {}
        unplaced: list[str] = []
        for error in rejection.errors:
            name = fields.get(error.field) or fields.get(error.field.split(".")[0])
            if name:
                errors.setdefault(name, say(error.code, error.message))
            else:
                unplaced.append(say(error.code, error.message))
        if not rejection.errors:
            message = say(rejection.code, rejection.message)
            if rejection.code in fields:
                errors[fields[rejection.code]] = message
            else:
                unplaced.append(message)
        return Form(
            values=self.values,
            errors=errors,
            refusal=" ".join(unplaced),
            will_pass=rejection.kind == "unavailable",
            request_id=request_id if rejection.kind == "unavailable" else "",
            idempotency_key=self.idempotency_key,
        )
