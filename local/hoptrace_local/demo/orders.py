"""The orders that the demo's customer places: one that works, one that cannot be billed, one with a slow carrier."""

from typing import Any

LINES = [{"sku": "lantern", "price": "19.90", "quantity": 2}, {"sku": "rope", "price": "7.25", "quantity": 1}]

NORMAL: dict[str, Any] = {"order": "1001", "carrier": "swift", "lines": LINES}
POISON: dict[str, Any] = {
    "order": "1002",
    "carrier": "swift",
    "lines": [{"sku": "map", "price": "a lot", "quantity": 1}],
}
SLOW: dict[str, Any] = {"order": "1003", "carrier": "snail", "lines": LINES}

ORDERS = (NORMAL, POISON, SLOW)
