"""HTTP to this machine itself: past whatever proxy the user's environment names."""

import urllib.request

open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""Like `urllib.request.urlopen`, without a proxy."""
