"""The errors of the kit: each class says who erred, and each text what to do."""


class SpatiusSimError(Exception):
    """Base of every error that the kit raises on purpose; its text is fit to be shown."""


class LocalProtocolError(SpatiusSimError):
    """We were about to break the protocol ourselves: the kit or its caller is at fault."""


class RemoteProtocolError(SpatiusSimError):
    """The peer sent what the protocol does not allow."""


class UsageError(SpatiusSimError):
    """The user asked for something impossible: the text names the place and the remedy."""


class UnreachableError(SpatiusSimError):
    """The subject could not be reached, or never completed one clean turn."""
