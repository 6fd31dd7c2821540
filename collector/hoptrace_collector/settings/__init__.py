"""Every setting, read once: `settings.settings` is the only module that reads the environment."""

from hoptrace_collector.address import Url, parse_url
from hoptrace_collector.settings.aws import Aws
from hoptrace_collector.settings.destinations import Targets
from hoptrace_collector.settings.lookup import unquote
from hoptrace_collector.settings.otlp import Otlp
from hoptrace_collector.settings.secret import Secret
from hoptrace_collector.settings.settings import Settings, from_environment, read
from hoptrace_collector.settings.strategy import FlushStrategy

__all__ = [
    "Aws",
    "FlushStrategy",
    "Otlp",
    "Secret",
    "Settings",
    "Targets",
    "Url",
    "from_environment",
    "parse_url",
    "read",
    "unquote",
]
