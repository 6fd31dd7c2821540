"""A share of the processor that stands for a memory size, where the kernel's control groups may be written.

Lambda gives processor time in proportion to memory, one whole CPU at 1,769 MB ("Configure Lambda function memory"). A
group is made below the one that this process is in, so that limits that others set stay in force; where that is not
allowed, `CpuGroup.unavailable` says why and the function runs at full speed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: MB of memory for which Lambda gives one CPU.
MEMORY_OF_ONE_CPU = 1769
#: Microseconds; the quota of the smallest function, 128 MB, is then still above the kernel's least, 1 ms.
_PERIOD = 20_000
_LEAST_QUOTA = 1000
_PREFIX = "hoptrace-"


def quota(memory: int) -> int:
    """Microseconds of processor time in each period of 20 ms for a function of `memory` MB."""
    return max(_LEAST_QUOTA, round(_PERIOD * memory / MEMORY_OF_ONE_CPU))


class CpuGroup:
    """One environment's group; `add` puts a process and all its future children into it."""

    def __init__(self, name: str, memory: int, home: Path | None = None) -> None:
        """`memory` is MB; `home` is the group to make it in, by default the one that this process is in."""
        self.unavailable = ""
        self._folder: Path | None = None
        try:
            home, version = (home, 1) if home is not None else _own_group()
            _sweep(home)
            folder = home / f"{_PREFIX}{os.getpid()}-{name}"
            if version == 2:
                (home / "cgroup.subtree_control").write_text("+cpu")
            folder.mkdir(exist_ok=True)
            self._folder = folder
            if version == 2:
                (folder / "cpu.max").write_text(f"{quota(memory)} {_PERIOD}")
            else:
                (folder / "cpu.cfs_period_us").write_text(str(_PERIOD))
                (folder / "cpu.cfs_quota_us").write_text(str(quota(memory)))
        except OSError as error:
            self.close()
            self.unavailable = f"no CPU quota for {memory} MB, the function runs at full speed: {error}"

    def add(self, pid: int) -> None:
        """Confine a process that was just started."""
        if self._folder is not None:
            with contextlib.suppress(OSError):  # it has ended already
                (self._folder / "cgroup.procs").write_text(str(pid))

    def close(self) -> None:
        """Remove the group; its processes must be gone."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.rmdir()
            self._folder = None


def _own_group() -> tuple[Path, int]:
    """The folder of the group that this process is in and the hierarchy's version; `OSError` where there is none."""
    groups = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, filesystem = line.partition(" - ")
        _, _, _, root, point, *_ = mount.split()
        kind, _, options = filesystem.split()[:3]
        if kind == "cgroup" and "cpu" in options.split(",") and "cpu" in groups:
            return Path(point) / os.path.relpath(groups["cpu"], root), 1
        if kind == "cgroup2" and "cpu" not in groups:
            home = Path(point) / os.path.relpath(groups.get("", "/"), root)
            if "cpu" in (home / "cgroup.controllers").read_text().split():
                return home, 2
    raise OSError("the kernel offers no cpu control group here")


def _sweep(home: Path) -> None:
    """Remove what a host that was killed left behind."""
    for folder in home.glob(f"{_PREFIX}*-*"):
        maker = folder.name.removeprefix(_PREFIX).split("-", 1)[0]
        if maker.isdigit() and not _runs(int(maker)):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
