"""Speaks to AWS without boto3: its client for one service costs 400 ms of CPU and 38 MB; signing a POST is a page."""
