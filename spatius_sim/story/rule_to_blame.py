"""Says to which rule a harm belongs: to the situation that came up since all was seen to be well."""


class Blame:
    """Keeps suspects: the situations, such as a pause, that may be to blame for a harm which is seen only
    later. Each is named by its rule.

    `suspects` are the situations since the client was last seen unharmed. `once_harmless` are the situations
    after which the client was seen unharmed at least once. `default_rule_id` is the rule to which a harm
    belongs if no situation came up.
    """

    def __init__(self, default_rule_id: str) -> None:
        self._default_rule_id = default_rule_id
        self.suspects: set[str] = set()
        self.once_harmless: set[str] = set()

    def add_suspect(self, rule_id: str) -> None:
        """Note that the situation of this rule came up: it may be to blame for a later harm."""
        self.suspects.add(rule_id)

    def drop_suspects(self, *rule_ids: str) -> None:
        """Forget the situations of these rules: they can do no harm any more."""
        self.suspects.difference_update(rule_ids)

    def clear_suspects(self) -> None:
        """Note that the client was seen unharmed: the situations so far did no harm."""
        self.once_harmless |= self.suspects
        self.suspects.clear()

    @property
    def rule_id(self) -> str:
        """The id of the rule to blame for a harm that is seen now; "" if several rules may be to blame.

        Each situation, such as a pause, since the client was last seen unharmed is a suspect, named by its
        rule. If there are several, those that once did no harm are left out. If no suspect remains, the
        default rule is to blame."""
        remaining = self.suspects if len(self.suspects) == 1 else self.suspects - self.once_harmless
        if not remaining:
            return self._default_rule_id
        return next(iter(remaining)) if len(remaining) == 1 else ""
