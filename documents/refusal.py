"""Why a file was refused, in words for the person who sent it.

Owns the one exception of this package. It stands apart from `store.problem`, because files know no
database: a caller turns it into a Problem with `Problem(error.where, error.what, error.how_to_fix)`.
"""


class FileRefusedError(ValueError):
    """A file that is not read at all: too large, dangerous, damaged, or of a wrong kind.

    `where` is the file and, where known, the place in it; `what` says what is wrong; `how_to_fix` says
    what the sender can do.
    """

    def __init__(self, where: str, what: str, how_to_fix: str) -> None:
        self.where = where
        self.what = what
        self.how_to_fix = how_to_fix
        super().__init__(f"{where}：{what}。{how_to_fix}")
