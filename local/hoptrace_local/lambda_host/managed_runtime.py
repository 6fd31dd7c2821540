"""Stands for `/var/runtime/bootstrap.py` of the managed Python runtimes: the path, the .pth files, then the client.

Run as a script by the function's interpreter with `-S`, from a folder that holds the runtime client. The order is that
of the managed runtime: the client is imported from the runtime's folder first, then the function's and the layers'
folders take precedence, each as a site directory so that its .pth files are executed, and only then is `_HANDLER` read.
"""

import os
import site
import sys

# What Lambda mounts is read-only, so nothing is ever compiled to disk there.
sys.dont_write_bytecode = True

import awslambdaric.__main__ as awslambdaricmain  # noqa: E402  under this name other tools look for it in `__main__`


def _opt_folders() -> "list[str]":
    opt = os.environ.pop("_HOPTRACE_LOCAL_OPT")
    packages = "lib/python{}.{}/site-packages".format(*sys.version_info[:2])
    return [os.path.join(opt, "python", packages), os.path.join(opt, "python")]


def main() -> None:
    """Make the path of a managed runtime and hand over to the runtime client."""
    site.setquit()
    site.setcopyright()
    site.sethelper()
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    opt_folders = _opt_folders()
    if "PYTHONPATH" in os.environ:
        opt_folders = []
    sys.path[:0] = [task_root, *opt_folders]
    for folder in (task_root, *opt_folders):
        site.addsitedir(folder)
    awslambdaricmain.main(["bootstrap.py", os.environ["_HANDLER"]])


if __name__ == "__main__":
    main()
