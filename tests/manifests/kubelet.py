"""What a kubelet makes of the pods of a manifest: for each container the arguments of `ctr run`, one a line.

Usage: kubelet.py MANIFESTS KIND/NAME --node=N --images=DIR --accounts=DIR --output=DIR

MANIFESTS is what `kubectl kustomize` printed. The image localhost/X:V is the OCI archive DIR/X.tar; a service
account's token, CA and namespace are in DIR/ACCOUNT. The output is OUTPUT/COMPONENT-CONTAINER/arguments,
whose folders are printed in the order to start them in, beside it the probes: urls, and command, an argument a
line; and OUTPUT/volumes for emptyDir and ConfigMap. Whatever of a pod is not understood here is an error, so that a test
does not pass by leaving something out.
"""

import argparse
import json
import pathlib
import sys
import tarfile

import yaml

# What containerd gives by default, and so what "drop: [ALL]" drops.
DEFAULT_CAPABILITIES = {
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
    "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
}
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# Understood here, or for the scheduler and the API server.
POD_FIELDS = {
    "affinity", "containers", "dnsPolicy", "enableServiceLinks", "hostNetwork", "nodeSelector",
    "priorityClassName", "serviceAccountName", "terminationGracePeriodSeconds", "tolerations", "volumes",
}
# Understood here, or for the kubelet.
CONTAINER_FIELDS = {
    "name", "image", "imagePullPolicy", "livenessProbe", "readinessProbe", "resources", "startupProbe",
}


def take(fields, name, default=None):
    return fields.pop(name, default)


def nothing_left(fields, where):
    if fields:
        sys.exit(f"kubelet.py: {where}: does not know what to make of {', '.join(sorted(fields))}")


def find(documents, kind, name):
    for document in documents:
        if document["kind"] == kind and document["metadata"]["name"] == name:
            return document
    sys.exit(f"kubelet.py: there is no {kind}/{name}")


def environment(container, documents, node):
    values = {}
    for source in take(container, "envFrom", []):
        values.update(find(documents, "ConfigMap", source["configMapRef"]["name"])["data"])
    for variable in take(container, "env", []):
        if "value" in variable:
            values[variable["name"]] = variable["value"]
        elif variable["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}:
            values[variable["name"]] = node
        else:
            sys.exit(f"kubelet.py: env {variable['name']}: only a value or spec.nodeName is understood")
    return values


def volume_directory(volume, documents, directory):
    """Where the volume is on the node, and whether it is read-only."""
    fields = dict(volume)
    name = take(fields, "name")
    host_path, config_map, empty_dir = (take(fields, n) for n in ("hostPath", "configMap", "emptyDir"))
    nothing_left(fields, f"volume {name}")
    if host_path:
        return host_path["path"], False
    place = directory / name
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o777)
    if config_map:
        for file, text in find(documents, "ConfigMap", config_map["name"])["data"].items():
            (place / file).write_text(text, encoding="utf-8")
    elif empty_dir is None:
        sys.exit(f"kubelet.py: volume {name}: of no kind that is understood")
    return str(place), bool(config_map)


def mounts(pod, container, documents, directory):
    volumes = {v["name"]: volume_directory(v, documents, directory) for v in pod.get("volumes", [])}
    for mount in take(container, "volumeMounts", []):
        source, read_only = volumes[mount["name"]]
        read_only = read_only or mount.get("readOnly", False)
        yield f"type=bind,src={source},dst={mount['mountPath']},options=rbind:{'ro' if read_only else 'rw'}"


def security(context):
    arguments = []
    capabilities = take(context, "capabilities", {})
    added = set(capabilities.get("add", []))
    dropped = DEFAULT_CAPABILITIES if capabilities.get("drop") == ["ALL"] else set(capabilities.get("drop", []))
    arguments += [f"--cap-drop=CAP_{name}" for name in sorted(dropped - added)]
    arguments += [f"--cap-add=CAP_{name}" for name in sorted(added)]
    if take(context, "readOnlyRootFilesystem"):
        arguments.append("--read-only")
    if take(context, "allowPrivilegeEscalation", True):
        arguments.append("--allow-new-privs")
    if take(context, "seccompProfile") == {"type": "RuntimeDefault"}:
        arguments.append("--seccomp")
    if take(context, "privileged"):
        arguments.append("--privileged")
    user = take(context, "runAsUser")
    if user not in (None, 0):
        sys.exit("kubelet.py: ctr runs images as their own user only, which is root here")
    nothing_left(context, "securityContext")
    return arguments


def entrypoint(archive):
    """Of the one image in an OCI archive."""
    with tarfile.open(archive) as tar:
        def blob(digest):
            return json.load(tar.extractfile("blobs/" + digest.replace(":", "/")))
        names = {pathlib.PurePath(n).name: n for n in tar.getnames()}
        index = json.load(tar.extractfile(names["index.json"]))
        return blob(blob(index["manifests"][0]["digest"])["config"]["digest"])["config"]["Entrypoint"]


def container_arguments(pod, container, documents, flags):
    """Of `ctr run`, but for the container's id; takes what it understands out of `pod` and `container`."""
    component = pod["component"]
    account = flags.accounts / pod["serviceAccountName"]
    archive = flags.images / (container["image"].removeprefix("localhost/").split(":")[0] + ".tar")
    arguments = ["--net-host"] if pod["hostNetwork"] else []
    arguments += security(take(container, "securityContext", {}))
    arguments += [f"--env={name}={value}" for name, value in environment(container, documents, flags.node).items()]
    volumes = flags.output / "volumes" / component
    arguments += [f"--mount={mount}" for mount in mounts(pod, container, documents, volumes)]
    arguments.append(f"--mount=type=bind,src={account},dst={SERVICE_ACCOUNT},options=rbind:ro")
    command = take(container, "command") or entrypoint(archive)
    arguments += [container["image"], f"{component}-{container['name']}", *command, *take(container, "args", [])]
    nothing_left({k for k in container if k not in CONTAINER_FIELDS}, "container")
    return arguments


def probes(container):
    """The URLs that the container has to answer, and the command that has to succeed in it."""
    urls, command = [], []
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container.get(name, {})
        if "httpGet" in probe:
            get = probe["httpGet"]
            urls.append(f"http://{get['host']}:{get['port']}{get['path']}")
        asked = probe.get("exec", {}).get("command", command)
        if command and asked != command:
            sys.exit(f"kubelet.py: {container['name']}: probes with different commands are not understood")
        command = asked
    return urls, command


def write_lines(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("manifests")
    parser.add_argument("workload")
    parser.add_argument("--node", required=True)
    for name in ("--images", "--accounts", "--output"):
        parser.add_argument(name, required=True, type=pathlib.Path)
    flags = parser.parse_args()

    with open(flags.manifests, encoding="utf-8") as file:
        documents = [d for d in yaml.safe_load_all(file) if d]
    template = find(documents, *flags.workload.split("/"))["spec"]["template"]
    pod = template["spec"]
    nothing_left({k for k in pod if k not in POD_FIELDS}, "pod")
    pod["component"] = template["metadata"]["labels"]["app.kubernetes.io/component"]
    for container in pod["containers"]:
        place = flags.output / f"{pod['component']}-{container['name']}"
        place.mkdir(parents=True)
        write_lines(place / "arguments", container_arguments(pod, dict(container), documents, flags))
        for name, lines in zip(("urls", "command"), probes(container)):
            write_lines(place / name, lines)
        print(place)


if __name__ == "__main__":
    main()
