"""Tests that others wrote, run against our provider."""
