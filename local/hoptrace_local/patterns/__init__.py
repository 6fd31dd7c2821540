"""Patterns of event-driven applications, each a small example that is run whole and whose trace is compared.

An example is a folder: a template for the AWS SAM CLI, its functions, `pattern.py` that sets it going, and a README
with the trace that must come of it. The template is what is built here too, in the emulated AWS and the local Lambda,
so what is shown on a desk is what would be deployed.
"""

from .catalog import Pattern, load_all
from .play import Outcome
from .stagehand import Stagehand

__all__ = ["Outcome", "Pattern", "Stagehand", "load_all"]
