"""`python -m hoptrace_collector.gateway`."""

import sys

from hoptrace_collector.gateway.app import main

sys.exit(main())
