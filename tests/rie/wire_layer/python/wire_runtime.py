"""Puts the tap between the runtime client and the Runtime API.

The client's native part reads the address when it is imported, which is before a .pth file can say anything: so the
tap is started, and the same process begins once more behind it.
"""

import os
import sys

import wire

if "WIRE_API" not in os.environ:
    os.environ["WIRE_API"] = os.environ["AWS_LAMBDA_RUNTIME_API"]
    os.environ["AWS_LAMBDA_RUNTIME_API"] = wire.tap("runtime", os.environ["WIRE_API"])
    os.environ["_HOPTRACE_LOCAL_OPT"] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    os.execv(sys.executable, sys.orig_argv)
