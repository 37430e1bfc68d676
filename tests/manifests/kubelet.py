"""What a kubelet makes of one container of a manifest: the arguments of `ctr run`, one a line.

Usage: kubelet.py MANIFESTS KIND/NAME CONTAINER --node=N --volumes=DIR [--service-account=DIR] --archive=FILE

MANIFESTS is what `kubectl kustomize` printed; FILE the OCI archive of the container's image, which says its
entrypoint. emptyDir volumes and files of ConfigMaps are below DIR. Whatever of a container or pod is not
understood here is an error, so that a test does not pass by leaving something out.
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
# What the scheduler, the API server or a kubelet's probes make use of, and containerd does not.
POD_FIELDS_OF_OTHERS = {
    "affinity", "containers", "dnsPolicy", "enableServiceLinks", "nodeSelector", "priorityClassName",
    "serviceAccountName", "terminationGracePeriodSeconds", "tolerations",
}
CONTAINER_FIELDS_OF_OTHERS = {
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
    if config_map:
        for file, text in find(documents, "ConfigMap", config_map["name"])["data"].items():
            (place / file).write_text(text, encoding="utf-8")
    elif empty_dir is None:
        sys.exit(f"kubelet.py: volume {name}: of no kind that is understood")
    return str(place), bool(config_map)


def mounts(pod, container, documents, directory):
    volumes = {v["name"]: volume_directory(v, documents, directory) for v in take(pod, "volumes", [])}
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("manifests")
    parser.add_argument("workload")
    parser.add_argument("container")
    parser.add_argument("--node", required=True)
    parser.add_argument("--volumes", required=True, type=pathlib.Path)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--service-account")
    flags = parser.parse_args()

    with open(flags.manifests, encoding="utf-8") as file:
        documents = [d for d in yaml.safe_load_all(file) if d]
    pod = dict(find(documents, *flags.workload.split("/"))["spec"]["template"]["spec"])
    container = dict(next(c for c in pod["containers"] if c["name"] == flags.container))

    arguments = []
    if take(pod, "hostNetwork"):
        arguments.append("--net-host")
    arguments += security(take(container, "securityContext", {}))
    arguments += [f"--env={name}={value}" for name, value in environment(container, documents, flags.node).items()]
    arguments += [f"--mount={mount}" for mount in mounts(pod, container, documents, flags.volumes)]
    if flags.service_account:
        arguments.append(f"--mount=type=bind,src={flags.service_account},dst={SERVICE_ACCOUNT},options=rbind:ro")
    command = take(container, "command") or entrypoint(flags.archive)
    arguments += [container["image"], flags.container, *command, *take(container, "args", [])]

    nothing_left({k for k in pod if k not in POD_FIELDS_OF_OTHERS}, "pod")
    nothing_left({k for k in container if k not in CONTAINER_FIELDS_OF_OTHERS}, "container")
    print("\n".join(arguments))


if __name__ == "__main__":
    main()
