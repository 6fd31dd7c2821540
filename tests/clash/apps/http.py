import os

import frame
import requests
import urllib3

pool = urllib3.PoolManager()


def handler(event, context):
    by_requests = requests.post(os.environ["THEIRS"] + "/by-requests", json=event, timeout=5)
    by_urllib3 = pool.request("POST", os.environ["THEIRS"] + "/by-urllib3", body=b"{}")
    return {**frame.work(event), "http": [by_requests.json(), by_requests.status_code, by_urllib3.status]}
