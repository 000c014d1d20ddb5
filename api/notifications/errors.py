"""Why a message did not go out."""


class SendError(Exception):
    """A message did not go out now; the Chinese text says why, without any address or secret.

    `unreachable` tells that the server itself did not answer, so that others need not be tried on it now.
    """

    def __init__(self, why: str, *, unreachable: bool = False) -> None:
        self.unreachable = unreachable
        super().__init__(why)
