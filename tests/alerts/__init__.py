"""Rules, decisions and events of alerts."""

from hypothesis import HealthCheck, settings

# A machine that has other things to do makes no property false.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
