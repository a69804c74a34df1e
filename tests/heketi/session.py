"""A session of Heketi's official Python client (package heketi 3.0.0, unmodified).

    session.py URL USER KEY DEVICE

Adds a cluster with one node and one device, makes, grows and removes a volume in
the cluster that was there, and prints what it saw as JSON. Exits with a traceback
where the server answers otherwise than Heketi did.
"""

import hashlib
import json
import sys

import heketi.heketi
import requests
from heketi import HeketiClient


class Hashlib(object):
    """The package was written for Python 2, where text is bytes."""

    @staticmethod
    def sha256(text):
        return hashlib.sha256(text.encode())


heketi.heketi.hashlib = Hashlib


def refused(status, call, *arguments):
    try:
        call(*arguments)
    except requests.HTTPError as error:
        assert error.response.status_code == status, error
        return error.response.text
    raise AssertionError("%s%r was not refused" % (call.__name__, arguments))


def main(url, user, key, device):
    client = HeketiClient(url, user, key)
    saw = {}
    assert client.hello()
    saw["clusters"] = client.cluster_list()["clusters"]
    saw["cluster"] = client.cluster_info(saw["clusters"][0])

    made = client.volume_create({"size": 2, "name": "python", "durability": {"type": "replicate", "replicate": {"replica": 2}}})
    saw["made"] = made
    assert made["id"] in client.volume_list()["volumes"]
    assert client.volume_info(made["id"]) == made
    grown = client.volume_expand(made["id"], {"expand_size": 1})
    assert grown["size"] == 3, grown
    saw["taken"] = refused(500, client.volume_create, {"size": 1, "name": "python"})
    assert client.volume_delete(made["id"])
    saw["gone"] = refused(404, client.volume_info, made["id"])
    saw["four"] = refused(400, client.volume_create, {"size": 1, "durability": {"type": "replicate", "replicate": {"replica": 4}}})

    cluster = client.cluster_create()
    node = client.node_add({"zone": 1, "cluster": cluster["id"], "hostnames": {"manage": ["node9"], "storage": ["192.168.10.99"]}})
    assert client.device_add({"node": node["id"], "name": device})
    node = client.node_info(node["id"])
    saw["node"] = node
    assert client.device_info(node["devices"][0]["id"])["name"] == device
    saw["full"] = refused(409, client.cluster_delete, cluster["id"])
    stranger = HeketiClient(url, user, key + "x")
    saw["stranger"] = refused(401, stranger.volume_list)
    print(json.dumps(saw))


if __name__ == "__main__":
    main(*sys.argv[1:])
