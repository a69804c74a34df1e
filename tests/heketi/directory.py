"""Adds a device whose bricks are directories, or removes it: URL USER KEY add|remove HOST PATH"""

import sys

from session import HeketiClient

url, user, key, order, host, path = sys.argv[1:]
client = HeketiClient(url, user, key)
for cluster in client.cluster_list()["clusters"]:
    for id in client.cluster_info(cluster)["nodes"]:
        node = client.node_info(id)
        if host not in node["hostnames"]["storage"]:
            continue
        if order == "add":
            client.device_add({"node": id, "name": path, "tags": {"bricks": "directory"}})
        for device in node["devices"]:
            if order == "remove" and device["name"] == path:
                for state in ("offline", "failed"):
                    client.device_state(device["id"], {"state": state})
                client.device_delete(device["id"])
