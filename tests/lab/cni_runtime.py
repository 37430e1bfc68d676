#!/usr/bin/env python3
"""A container runtime, as far as CNI goes: runs on a node of the lab.

Usage: cni_runtime.py add POD [HOSTPORT:PORT]...   prints the pod's addresses
       cni_runtime.py del POD current|cached       with the configuration that is there now, as containerd,
                                                   or with the one that the pod was made with, as CRI-O

As libcni does it: the configuration list of /etc/cni/net.d that sorts first, its plugins of /opt/cni/bin in
their order (for del the other way round), each with its predecessor's result; what was added is remembered in
/var/lib/cni/results.
"""

import base64
import json
import os
import subprocess
import sys

CONF_DIR = "/etc/cni/net.d"
BIN_DIR = "/opt/cni/bin"
CACHE = "/var/lib/cni/results"


def first_list():
    names = sorted(n for n in os.listdir(CONF_DIR) if n.endswith((".conf", ".conflist", ".json")))
    if not names:
        sys.exit(f"there is no configuration in {CONF_DIR}")
    with open(f"{CONF_DIR}/{names[0]}", encoding="utf-8") as file:
        return json.load(file)


def cache_file(network, container):
    return f"{CACHE}/{network}-{container}-eth0"


def cached(container):
    for name in os.listdir(CACHE):
        if name.endswith(f"-{container}-eth0"):
            with open(f"{CACHE}/{name}", encoding="utf-8") as file:
                return json.load(file)
    sys.exit(f"{container} was never added")


def call(command, network, plugin, pod, ports, result):
    conf = {"cniVersion": network["cniVersion"], "name": network["name"]} | plugin
    if ports and plugin.get("capabilities", {}).get("portMappings"):
        conf["runtimeConfig"] = {"portMappings": ports}
    if result:
        conf["prevResult"] = result
    environment = os.environ | {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": f"ctr-{pod}",
        "CNI_NETNS": f"/run/netns/{pod}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": BIN_DIR,
        "CNI_ARGS": "",
    }
    done = subprocess.run(
        [f"{BIN_DIR}/{plugin['type']}"],
        input=json.dumps(conf).encode(),
        env=environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{plugin['type']} {command} {pod}: {done.stdout.decode()}")
    return json.loads(done.stdout) if command == "ADD" else None


def add(pod, mappings):
    ports = [
        {"hostPort": int(host), "containerPort": int(port), "protocol": "tcp"}
        for host, port in (mapping.split(":") for mapping in mappings)
    ]
    network, result = first_list(), None
    for plugin in network["plugins"]:
        result = call("ADD", network, plugin, pod, ports, result)
    os.makedirs(CACHE, exist_ok=True)
    entry = {
        "kind": "cniCacheV1",
        "containerId": f"ctr-{pod}",
        "config": base64.b64encode(json.dumps(network).encode()).decode(),
        "ifName": "eth0",
        "networkName": network["name"],
        "netns": f"/run/netns/{pod}",
        "capabilityArgs": {"portMappings": ports},
        "result": result,
    }
    with open(cache_file(network["name"], f"ctr-{pod}"), "w", encoding="utf-8") as file:
        json.dump(entry, file)
    for ip in result["ips"]:
        print(ip["address"].split("/")[0])


def delete(pod, which):
    entry = cached(f"ctr-{pod}")
    network = first_list() if which == "current" else json.loads(base64.b64decode(entry["config"]))
    result = None
    if entry["networkName"] == network["name"] and network["cniVersion"] not in ("0.3.0", "0.3.1"):
        result = entry["result"] | {"cniVersion": network["cniVersion"]}
    for plugin in reversed(network["plugins"]):
        call("DEL", network, plugin, pod, entry["capabilityArgs"]["portMappings"], result)
    os.unlink(cache_file(entry["networkName"], f"ctr-{pod}"))


if sys.argv[1] == "add":
    add(sys.argv[2], sys.argv[3:])
else:
    delete(sys.argv[2], sys.argv[3])
