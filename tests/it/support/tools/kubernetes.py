"""Validates a JSON array of objects strictly against the schemas of the two newest minor versions of Kubernetes.

Prints which versions; fails with every problem.
"""

import json
import sys

import kubernetes_validate
from kubernetes_validate.utils import all_versions

minors = sorted({tuple(int(part) for part in version.split(".")[:2]) for version in all_versions()})[-2:]
problems = []
for item in json.load(sys.stdin):
    for major, minor in minors:
        name = f"{item['kind']} {item['metadata']['name']} in {major}.{minor}"
        try:
            validated = kubernetes_validate.validate(item, f"{major}.{minor}.0", strict=True)
            assert str(validated).startswith(f"{major}.{minor}"), f"{name}: validated against {validated}"
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            problems.append(f"{name}: {getattr(error, 'message', error)} {list(getattr(error, 'path', []))}")
if problems:
    sys.exit("\n".join(problems))
print(json.dumps([f"{major}.{minor}" for major, minor in minors]))
