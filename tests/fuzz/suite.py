"""Fuzzes one server."""

import json
import os
import subprocess
import sys
import urllib.request

from openapi_spec_validator import OpenAPIV31SpecValidator

from ..support.tally import Tally
from . import hostile
from .server import NEWEST, Server

HERE = os.path.dirname(os.path.abspath(__file__))
# The newest in full; one from the middle and the one that a client gets that asks for none with fewer requests.
RUNS = [(NEWEST, "examples,coverage,fuzzing", 1), ("1.50", "fuzzing", 2), ("1.1", "fuzzing", 2)]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def check_document(server):
    """Is the document a valid one, served as JSON, the same twice, and at any microversion?"""
    texts = set()
    for version in (NEWEST, "1.1"):
        request = urllib.request.Request(f"{server.url}/openapi.json", headers={"X-OpenStack-Ironic-API-Version": version})
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["Content-Type"] == "application/json", answer.headers["Content-Type"]
            texts.add(answer.read())
    (text,) = texts
    document = json.loads(text)
    errors = [f"{list(error.path)}: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
    operations = sum(len(path) for path in document["paths"].values())
    return errors, f"the document is valid OpenAPI 3.1, {operations} operations, {len(text)} bytes"


def aimed(document, seeds):
    """The document with objects that are there as examples for its paths."""
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                if parameter.get("in") == "path" and parameter["name"] in seeds and operation is not path.get("delete"):
                    parameter["example"] = seeds[parameter["name"]][-1]
    return document


def schemathesis(server, version, phases, examples):
    """One run; its output where it failed."""
    path = os.path.join(server.directory, f"openapi-{version}.json")
    with open(path, "w") as file:
        json.dump(aimed(server.ask("GET", "/openapi.json"), server.seeds["path"]), file)
    command = [
        os.path.join(os.path.dirname(sys.executable), "st"), "run", path, "--url", server.url,
        "--checks", CHECKS, "--phases", phases, "--mode", "all",
        # One worker: with more of them a seed doesn't give the same requests again.
        "--max-examples", examples, "--seed", "1", "--workers", "1", "--request-timeout", "30", "--continue-on-failure",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
        "-H", f"X-OpenStack-Ironic-API-Version: {version}", "-H", f"OpenStack-API-Version: baremetal {version}",
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": HERE, "FUZZ_SEEDS": json.dumps(server.seeds), "PYTHONDONTWRITEBYTECODE": "1",
    }
    outcome = subprocess.run(
        command, env=environment, cwd=server.directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    lines = outcome.stdout.splitlines()
    counted = next((line.strip() for line in lines if "generated" in line), "no count of its requests")
    return ([] if outcome.returncode == 0 else lines), f"schemathesis at {version}: {counted}"


def main(examples):
    tally = Tally()

    def report(errors, name):
        with tally.case(name):
            assert not errors, "\n    " + "\n    ".join(errors)
            print(f"ok     {name}", flush=True)

    with Server() as server:
        slow = hostile.start_slow(server.port)
        report(*check_document(server))
        before = server.listings()
        for name, errors in hostile.run(server.port, server.seeds):
            report(errors, name)
        report([] if server.listings() == before else ["the listings differ"], "hostile requests leave everything as it was")
        for version, phases, divisor in RUNS:
            report(*schemathesis(server, version, phases, str(examples // divisor)))
        for name, errors in hostile.finish_slow(slow):
            report(errors, name)
        report([] if server.is_alive() else ["it ended"], "the server still runs")
        report(server.errors().splitlines(), "the server's log has no errors")
    tally.end()
