"""The one exception of the Lambda on the desk, so that a command line can print it without a traceback."""


class LambdaHostError(Exception):
    """The desk cannot do what was asked; the message says what is wrong and what to do about it."""
