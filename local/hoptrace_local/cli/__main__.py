"""`python -m hoptrace_local.cli` is `hoptrace`."""

from hoptrace_local.cli import main

main()
