"""Validates manifests, field by field, against the Kubernetes API's own types.

Usage: api_schema.py FILE...

The types are those of Kubernetes' Python client, which are made from the API server's OpenAPI document. A field
that a type does not have, a value of another type and a required field that is missing are errors, one a line:
"DaemonSet/podroute: spec.template.spec.container: no such field". Exits 1 if there is any. What the client
calls "object" is a number or a string (IntOrString); no other such field is in use here.
"""

import datetime
import re
import sys

import yaml
from kubernetes import client

SCALARS = {"str": str, "int": int, "bool": bool, "float": float, "datetime": datetime.datetime}


def type_of(document):
    """The names of the client's type and of what creates it: of apps/v1 DaemonSet V1DaemonSet and
    AppsV1Api.create_namespaced_daemon_set. None where there is no such kind in that group and version."""
    api_version, kind = document.get("apiVersion"), document.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    group, _, version = api_version.rpartition("/")
    words = group.removesuffix(".k8s.io").split(".") if group else ["core"]
    api = getattr(client, "".join(w.capitalize() for w in [*words, version]) + "Api", None)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
    for create in (f"create_{name}", f"create_namespaced_{name}"):
        if hasattr(api, create):
            return version.capitalize() + kind, create
    return None


class Validator:
    def __init__(self):
        self.errors = []

    def value(self, value, type_name, path):
        """`value` as the client has it; None when something is wrong with it."""
        if match := re.fullmatch(r"list\[(.+)\]", type_name):
            if not isinstance(value, list):
                return self.wrong(path, value, "a list")
            return [self.value(item, match[1], f"{path}[{i}]") for i, item in enumerate(value)]
        if match := re.fullmatch(r"dict\(str, (.+)\)", type_name):
            if not isinstance(value, dict):
                return self.wrong(path, value, "a map")
            return {key: self.value(item, match[1], f"{path}.{key}") for key, item in value.items()}
        if type_name == "object":
            good = isinstance(value, (int, str)) and not isinstance(value, bool)
            return value if good else self.wrong(path, value, "a number or a string")
        if type_name in SCALARS:
            good = isinstance(value, SCALARS[type_name]) and (type_name == "bool" or not isinstance(value, bool))
            return value if good else self.wrong(path, value, type_name)
        return self.model(value, getattr(client, type_name), path)

    def model(self, value, model, path):
        if not isinstance(value, dict):
            return self.wrong(path, value, "a map")
        names = {json_name: name for name, json_name in model.attribute_map.items()}
        fields = {}
        for key, item in value.items():
            where = f"{path}.{key}".lstrip(".")
            if key not in names:
                self.errors.append(f"{where}: no such field")
            else:
                fields[names[key]] = self.value(item, model.openapi_types[names[key]], where)
        # The client's setters know what is required, and which words and lengths are allowed.
        for name, json_name in model.attribute_map.items():
            where = f"{path}.{json_name}".lstrip(".")
            if json_name in value and fields[name] is None:
                continue  # said above
            try:
                self.check(model, name, fields.get(name))
            except ValueError as error:
                missing = json_name not in value
                self.errors.append(f"{where}: {'required' if missing else error}")
        return fields

    @staticmethod
    def check(model, name, value):
        instance = model.__new__(model)
        instance.local_vars_configuration = client.Configuration()
        setattr(instance, name, value)

    def wrong(self, path, value, expected):
        self.errors.append(f"{path}: {value!r} is not {expected}")


def validate(document):
    """Errors, as lines."""
    metadata = document.get("metadata") or {}
    name = f"{document.get('kind')}/{metadata.get('name')}"
    found = type_of(document)
    if found is None:
        return [f"{name}: no such kind in {document.get('apiVersion')}"]
    type_name, create = found
    validator = Validator()
    validator.value(document, type_name, "")
    if ("namespace" in metadata) != create.startswith("create_namespaced_"):
        validator.errors.append("metadata.namespace: " + ("this kind has none" if "namespace" in metadata else "required"))
    return [f"{name}: {error}" for error in validator.errors]


def main():
    errors, count = [], 0
    for file in sys.argv[1:]:
        with open(file, encoding="utf-8") as stream:
            for document in filter(None, yaml.safe_load_all(stream)):
                errors += validate(document)
                count += 1
    print("\n".join(errors or [f"{count} objects, all valid"]))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
