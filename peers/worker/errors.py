"""Why a request gets no answer of its own."""


class Refused(Exception):
    """The request makes no sense here."""


class Unsupported(Exception):
    """The program, or one of its sizes, cannot run here."""
