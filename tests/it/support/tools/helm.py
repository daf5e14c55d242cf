"""Lints and renders a chart with Helm's own engine, once for each set of values.

A JSON request on standard input, a JSON answer on standard output: what the linter and the renderer refuse, and what was
rendered.
"""

import json
import sys

from helm_python import Chart, HelmError, lint


def look_at(chart, name, values):
    try:
        report = lint(chart, values, strict=True, namespace="kafka")
        # What a template refuses is told only when it is rendered.
        rendered = Chart.load(chart).render(values, name=name, namespace="kafka")
    except HelmError as error:
        return {"problems": [str(error)], "rendered": {}}
    # An icon is recommended, which is severity 1; nothing more.
    problems = [message for message in report["messages"] if message["severity"] > 1] + report["errors"]
    return {"problems": [str(problem) for problem in problems], "rendered": rendered}


request = json.load(sys.stdin)
json.dump([look_at(request["chart"], request["name"], values) for values in request["values"]], sys.stdout)
