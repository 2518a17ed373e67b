"""Asks a service whatever its OpenAPI document lets be asked, and much that it does not, by schemathesis.

What is generated is left as it is in one of four requests; in the others it is about something that is there, so that
more than refusals is answered. Arguments: which wire, and the URL of the service.
"""

import base64
import json
import os
import random
import struct
import sys

import requests
import schemathesis
from openapi_spec_validator import validate
from schemathesis.cli import schemathesis as command

WIRE, URL = sys.argv[1:]
KNOWN = json.loads(os.environ["TRAINYARD_OPENAPI_KNOWN"])
SEED = int(os.environ.get("TRAINYARD_OPENAPI_SEED", "7"))
EXAMPLES = 200 if os.environ.get("TRAINYARD_LONG") == "1" else 20

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
]
# Left out, and why.
ELSEWHERE = {
    # A wrong method is 404, as the vendor has it, and never 405.
    "eliza": ["unsupported_method"],
}


def cyborgdb(path, case, chance):
    body = case.body
    if not isinstance(body, dict):
        return
    if path == "/v1/indexes/create":
        body["index_key"] = KNOWN["key"]
        return
    names = KNOWN["doomed"] if path == "/v1/indexes/delete" else KNOWN["indexes"]
    body.update(index_name=chance.choice(names), index_key=KNOWN["key"])
    dimension = KNOWN["dimension"]

    def vector():
        return [chance.uniform(-10, 10) for _ in range(dimension)]

    batch = body.get("batch")
    if isinstance(batch, dict):
        count = len(batch["ids"]) if isinstance(batch.get("ids"), list) else 2
        numbers = [number for _ in range(count) for number in vector()]
        packed = struct.pack(f"<{len(numbers)}f", *numbers)
        batch.update(dimension=dimension, vectors_b64=base64.b64encode(packed).decode())
    for item in body["items"] if isinstance(body.get("items"), list) else []:
        if isinstance(item, dict):
            item["vector"] = vector()
    if "query_vectors" in body:
        body["query_vectors"] = vector() if chance.random() < 0.5 else [vector(), vector()]
    if isinstance(body.get("ids"), list):
        body["ids"] += ["1", "2"]


def mathfi(path, case, chance):
    kinds = {"uploads": "uploads", "results": "results", "predictions/models": "models", "predictions": "predictions"}
    kinds |= {"training/datasets": "datasets", "training": "trainings", "datasets": "datasets"}
    kind = next((kinds[start] for start in kinds if path.startswith(f"/api/v1/{start}/")), None)
    if path == "/api/login" and isinstance(case.body, dict):
        case.body.update(KNOWN["login"])
    elif kind in ("uploads", "results"):
        key, token = chance.choice(KNOWN[kind])
        case.path_parameters = {"key": key}
        case.query = {"token": token}
        case.headers.pop("X-Goog-Content-Length-Range", None)
    elif path.endswith("/data"):
        case.path_parameters = {"key": chance.choice(KNOWN["pending"])}
    elif path.endswith("/cancel"):
        case.path_parameters = {"key": chance.choice(KNOWN["doomed"])}
    elif kind:
        case.path_parameters = {"key": chance.choice(KNOWN[kind])}
    if path.endswith("/data") or kind in ("uploads", "models"):
        if case.media_type == "multipart/form-data":
            case.body = {"file": KNOWN["csv"]}
        else:
            case.body = KNOWN["csv"].encode()


def heygen(path, case, chance):
    if path == "/v1/asset":
        case.body = bytes(KNOWN["photo"])
    elif path.startswith("/v2/trainyard/images/"):
        file, token = chance.choice(KNOWN["files"])
        case.path_parameters = {"id": file}
        case.query = {"token": token}
    elif case.path_parameters:
        case.path_parameters = {"id": chance.choice(KNOWN["doomed" if case.method == "DELETE" else "groups"])}
    if isinstance(case.body, dict):
        for name, kind in (("image_key", "image_keys"), ("group_id", "groups")):
            if name in case.body:
                case.body[name] = chance.choice(KNOWN[kind])
        if "image_keys" in case.body:
            case.body["image_keys"] = chance.choices(KNOWN["image_keys"], k=chance.randint(1, 4))


def eliza(path, case, chance):
    kind = next((kind for kind in ("trajectories", "jobs", "models", "runs") if f"/{kind}/" in path), None)
    if kind:
        case.path_parameters = {"id": chance.choice(KNOWN[kind])}
    if isinstance(case.body, dict):
        if path.endswith("/jobs"):
            case.body["datasetId"] = chance.choice(KNOWN["datasets"])
        if path.endswith("/auto/trigger"):
            case.body["task"] = "should_respond"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Turns a request to something that is there; the same request always in the same way."""
    told = [SEED, case.method, case.operation.path, case.path_parameters, case.query, case.body]
    chance = random.Random(repr(told)[:10_000])
    path = case.operation.path
    if path.endswith("/import-ollama") and isinstance(case.body, dict):
        # Of a URL where nothing listens, a 500 tells; that is no fault of ours. What is none at all is 400.
        case.body["ollamaUrl"] = chance.choice([KNOWN["ollama"], "http://example.com", "file:///x"])
    if path == "/api/training/jobs" and isinstance(case.body, dict):
        # What trains is a program that prints a line a step: a thousand million of them take long.
        steps = case.body.get("iterations")
        if isinstance(steps, (int, float)) and steps > 20:
            case.body["iterations"] = 20
    if chance.random() < 0.75:
        {"cyborgdb": cyborgdb, "mathfi": mathfi, "heygen": heygen, "eliza": eliza}[WIRE](path, case, chance)


SEEN = {}


@schemathesis.hook
def after_call(context, case, response):
    """Counts what was answered to what."""
    seen = SEEN.setdefault(case.operation.label, {})
    seen[response.status_code] = seen.get(response.status_code, 0) + 1


def main():
    document = requests.get(URL + KNOWN["document"], timeout=60)
    assert document.status_code == 200, document.text
    validate(document.json())
    checks = [check for check in CHECKS if check not in ELSEWHERE.get(WIRE, [])]
    headers = [part for name, value in KNOWN["headers"].items() for part in ("-H", f"{name}: {value}")]
    arguments = ["run", URL + KNOWN["document"], "--url", URL, *headers]
    arguments += ["--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing", "--mode", "all"]
    arguments += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--request-timeout", "120"]
    arguments += ["--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off"]
    arguments += ["--continue-on-failure", "--output-sanitize", "false", "--no-color"]
    try:
        found = command(arguments, standalone_mode=False)
    except SystemExit as end:
        found = end.code
    for label, seen in sorted(SEEN.items()):
        print(label, dict(sorted(seen.items())))
    wrong = []
    for label in guarded(document.json()):
        if ask_as_a_stranger(label) != 401:
            wrong.append(f"{label} lets strangers in")
    for label in successes(document.json()):
        if not any(200 <= status < 300 for status in SEEN.get(label, {})):
            # What was never carried out was not tried.
            wrong.append(f"{label} never went well")
    sys.exit(found or "; ".join(wrong) or 0)


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield f"{method.upper()} {path}", operation


def guarded(document):
    """All operations that only who shows something may ask for."""
    for label, operation in operations(document):
        ways = operation.get("security", document["security"])
        if ways and all(ways):
            yield label


def ask_as_a_stranger(label):
    method, path = label.split(" ")
    return requests.request(method, URL + path.replace("{", "").replace("}", ""), timeout=60).status_code


def successes(document):
    """All operations that can go well, but for this document's own, which schemathesis leaves out."""
    for label, operation in operations(document):
        if not label.endswith(KNOWN["document"]) and any(code[0] == "2" for code in operation["responses"]):
            yield label


main()
