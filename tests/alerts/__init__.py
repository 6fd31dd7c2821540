"""Rules, decisions and events of alerts."""
