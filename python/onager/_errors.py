"""Exceptions of the package."""


class CompileError(RuntimeError):
    """A model is refused, or an option or file is bad. `status` is the exit status that the command line would have."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status
