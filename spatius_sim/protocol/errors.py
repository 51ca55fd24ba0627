"""Who erred: every error of the kit says whose it is and what to do about it."""


class SpatiusSimError(Exception):
    """Base of every error that the kit raises on purpose; its text is fit to be shown."""


class LocalProtocolError(SpatiusSimError):
    """We were about to break the protocol ourselves: a fault of the kit or of its caller."""


class RemoteProtocolError(SpatiusSimError):
    """The peer sent what the protocol does not allow."""


class UsageError(SpatiusSimError):
    """The user asked for something that cannot be: the text names the place and the remedy."""


class UnreachableError(SpatiusSimError):
    """The subject could not be reached, or never completed one clean turn."""
