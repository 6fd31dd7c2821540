"""Executed by `hoptrace_check.pth`, if `.pth` files of a layer are executed: notes what is there at that moment."""

import sys
import time

runtime = sys.modules.get("awslambdaric.bootstrap")
client = sys.modules.get("awslambdaric.lambda_runtime_client")
SEEN = {
    "t": time.time(),
    "runtime_loaded": runtime is not None,
    "handler_loaded": "app" in sys.modules,
    "modules": sorted(name for name in sys.modules if "." not in name and not name.startswith("_")),
    "get_handler": hasattr(runtime, "_get_handler"),
    "extract_traceback": hasattr(runtime, "extract_traceback"),
    "wait_next_invocation": hasattr(getattr(client, "LambdaRuntimeClient", None), "wait_next_invocation"),
    "post_invocation_error": hasattr(getattr(client, "LambdaRuntimeClient", None), "post_invocation_error"),
}
