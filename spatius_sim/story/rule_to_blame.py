"""Says to which rule a harm belongs: to the situation that came up since all was seen to be well."""


class Blame:
    """Keeps the situations that may be to blame for a harm which is seen only later; each is named by its
    rule.

    `open` are the situations since the client was last seen unharmed. `once_harmless` are the situations
    after which the client was seen unharmed at least once. `plain` is the rule to which a harm belongs if
    no situation came up.
    """

    def __init__(self, plain: str) -> None:
        self._plain = plain
        self.open: set[str] = set()
        self.once_harmless: set[str] = set()

    def note(self, rule_id: str) -> None:
        """Note that the situation of this rule came up."""
        self.open.add(rule_id)

    def forget(self, *rule_ids: str) -> None:
        """Forget the situations of these rules: they can do no harm any more."""
        self.open.difference_update(rule_ids)

    def clear(self) -> None:
        """Note that the client was seen unharmed: the situations so far did no harm."""
        self.once_harmless |= self.open
        self.open.clear()

    @property
    def rule_id(self) -> str:
        """The rule to blame for a harm that is seen now; "" if that is not certain. If several situations
        came up since the client was last unharmed, the only one that was never followed by an unharmed client
        is to blame."""
        suspects = self.open if len(self.open) == 1 else self.open - self.once_harmless
        if not suspects:
            return self._plain
        return next(iter(suspects)) if len(suspects) == 1 else ""
