"""Gives a device one state after the other, and shows it: URL USER KEY DEVICE STATE..."""

import json
import sys

from session import HeketiClient

url, user, key, device = sys.argv[1:5]
client = HeketiClient(url, user, key)
for state in sys.argv[5:]:
    client.device_state(device, {"state": state})
print(json.dumps(client.device_info(device)))
