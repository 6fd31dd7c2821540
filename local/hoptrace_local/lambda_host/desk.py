"""What all environments of one function share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from .config import FunctionConfig
from .guardian import Guardian
from .telemetry_events import Event
from .var_runtime import Interpreter


@dataclass(frozen=True)
class Desk:
    """A function made ready to run: its folders stand, its interpreter was found."""

    config: FunctionConfig
    interpreter: Interpreter
    opt: Path
    var_runtime: Path
    lang_bin: Path
    guardian: Guardian
    session: aiohttp.ClientSession
    take_port: Callable[[], int]
    on_event: Callable[[Event], None]
    on_log: Callable[[str], None]
