"""The collector's entry, run as `python3 -I -S /opt/hoptrace-collector`: its packages lie beside this file."""

import sys

from hoptrace_collector.app import main

sys.exit(main(sys.argv[1:]))
