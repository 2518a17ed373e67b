"""Drives a running server as MathFi's recipe for developers does, with requests.

mathfi_client.py URL USER PASSWORD
"""

import csv
import io
import random
import sys
import time
import uuid

import requests

LONG = 300  # seconds; more than any training here takes


def rows(rng, count):
    """Rows of two classes: points within a ring or outside of it, with a text that helps a little."""
    for n in range(count):
        x, y = rng.uniform(-1, 1), rng.uniform(-1, 1)
        inside = 0.25 < x * x + y * y < 0.8
        colour = rng.choice(["red", "blue"]) if inside else rng.choice(["green", "blue", ""])
        yield [f"row {n}", f"{x:.5f}", f"{y:.5f}", colour, "in" if inside else "out"]


def text(header, table):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows(table)
    return out.getvalue().encode()


class MathFi:
    def __init__(self, url, user, password):
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        answer = self.session.post(f"{url}/api/login", json={"username": user, "password": password}, timeout=LONG)
        answer.raise_for_status()
        login = answer.json()
        assert login["token_type"] == "Bearer" and login["expires_in"] == 3600 and login["username"] == user, login
        self.session.headers["Authorization"] = f"Bearer {login['access_token']}"

    def call(self, method, path, status, **more):
        answer = self.session.request(method, f"{self.url}/api/v1/{path}", timeout=LONG, **more)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer.json()

    def wait(self, url, over):
        end = time.monotonic() + LONG
        while True:
            answer = self.session.get(url, timeout=LONG)
            answer.raise_for_status()
            if answer.json()["status"] in over:
                return answer.json()
            assert time.monotonic() < end, "it takes too long"
            time.sleep(0.05)


def main(url, user, password):
    rng = random.Random(7)
    anonymous = requests.get(f"{url}/api/v1/datasets", params={"offset": 0, "limit": 1}, timeout=LONG)
    assert anonymous.status_code == 401 and "message" in anonymous.json(), anonymous.text
    wrong = requests.post(f"{url}/api/login", json={"username": user, "password": "wrong"}, timeout=LONG)
    assert wrong.status_code == 401, wrong.text
    mathfi = MathFi(url, user, password)
    header = ["id", "x", "y", "colour", "class"]
    table = list(rows(rng, 2_000))

    # Create, and upload: one through the API, one to the signed URL.
    body = {"datasetName": "ring", "description": "points in a ring", "numberOfBuckets": 50}
    created = mathfi.call("POST", "datasets", 201, json=body)
    assert created["status"] == "PENDING" and created["numberOfBuckets"] == 50, created
    mathfi.call("POST", "datasets", 409, json=body)
    key = str(uuid.UUID(created["datasetKey"]))
    files = {"file": ("ring.csv", text(header, table), "text/csv")}
    answer = mathfi.session.post(f"{url}/api/v1/datasets/{key}/data", files=files, timeout=LONG)
    assert answer.status_code in (200, 202), answer.text
    dataset = mathfi.wait(created["datasetCreationProgressUrl"], {"COMPLETED", "FAILED"})
    assert dataset["status"] == "COMPLETED", dataset

    large = mathfi.call("POST", "datasets", 201, json={"datasetName": "signed"})
    info = large["datasetUploadInfo"]
    name, value = info["extraHeaders"].split(":", 1)
    answer = requests.put(info["uploadUrl"], data=text(header, table), headers={name: value}, timeout=LONG)
    assert answer.ok, (answer.status_code, answer.text)
    assert mathfi.wait(large["datasetCreationProgressUrl"], {"COMPLETED", "FAILED"})["status"] == "COMPLETED"
    page = mathfi.call("GET", "datasets", 200, params={"offset": 0, "limit": 1})
    assert page["total"] == 2 and page["nextOffset"] == 1, page
    assert [item["datasetName"] for item in page["datasets"]] == ["signed"], page

    # Train, and watch.
    settings = {"scalingFactor": 19, "performanceThreshold": 0.9}
    started = mathfi.call("POST", f"training/datasets/{key}", 201, json=settings)
    progress = mathfi.wait(started["trainingJobProgressUrl"], {"COMPLETED", "TIMED_OUT", "NOT_COMPLETED", "FAILED"})
    assert progress["status"] == "COMPLETED", progress
    assert [job["algorithm"] for job in progress["jobs"]] == ["BSEV01", "BFIF01", "BSIX01", "BSEV02"], progress
    for job in progress["jobs"]:
        recent = job["recentPerformances"]
        assert len(recent) <= 5 and (not recent or recent[-1] == job["latestPerformance"]), job
    (winner,) = [job for job in progress["jobs"] if job["status"] == "COMPLETED"]
    training = mathfi.call("GET", f"training/{started['trainingJobKey']}", 200)
    assert training["targetPerformance"] == 0.9 and training["achievedPerformance"] >= 0.9, training
    mathfi.call("PATCH", f"training/{started['trainingJobKey']}/cancel", 409)

    # One that nobody can win is cancelled: rows that come twice, once in either class, and so many that it is at work
    # for far longer than it takes to ask.
    columns = [f"c{n}" for n in range(20)]
    twice = [[f"{rng.uniform(-1, 1):.4f}" for _ in columns] for _ in range(20_000)]
    table_of_noise = [[f"{label} {n}", *row, label] for n, row in enumerate(twice) for label in ("in", "out")]
    noise = mathfi.call("POST", "datasets", 201, json={"datasetName": "noise"})
    files = {"file": ("noise.csv", text(["id", *columns, "class"], table_of_noise), "text/csv")}
    noise_key = noise["datasetKey"]
    answer = mathfi.session.post(f"{url}/api/v1/datasets/{noise_key}/data", files=files, timeout=LONG)
    assert answer.status_code in (200, 202), answer.text
    ready = mathfi.wait(noise["datasetCreationProgressUrl"], {"COMPLETED", "FAILED"})
    assert ready["status"] == "COMPLETED", ready
    settings = {"scalingFactor": 10, "performanceThreshold": 1}
    hard = mathfi.call("POST", f"training/datasets/{noise_key}", 201, json=settings)
    cancelled = mathfi.call("PATCH", f"training/{hard['trainingJobKey']}/cancel", 200)
    assert cancelled["status"] == "CANCELLED", cancelled
    assert mathfi.call("GET", f"training/{hard['trainingJobKey']}", 200)["status"] == "CANCELLED"

    # Predict for rows that took no part.
    fresh = list(rows(rng, 500))
    files = {"file": ("fresh.csv", text(header[:-1], [row[:-1] for row in fresh]), "text/csv")}
    asked = mathfi.call("POST", f"predictions/models/{training['modelKey']}", 201, files=files)
    prediction = mathfi.wait(asked["predictionCreationProgressUrl"], {"COMPLETED", "FAILED", "TIMEOUT"})
    assert prediction["status"] == "COMPLETED", prediction
    (result_url,) = [prediction[name] for name in prediction if name.endswith("Url") and "Progress" not in name]
    result = requests.get(result_url, timeout=LONG)
    assert result.ok and result.headers["Content-Type"].startswith("text/csv"), result.headers
    said = list(csv.reader(io.StringIO(result.text)))
    assert said[0] == header[:-1] + ["prediction", "probability"], said[0]
    assert [row[:4] for row in said[1:]] == [row[:4] for row in fresh], "rows as they were, in order"
    right = sum(row[4] == true[4] for row, true in zip(said[1:], fresh)) / len(fresh)
    assert right > 0.85, right
    assert all(0 <= float(row[5]) <= 1 for row in said[1:])
    print(f"requests {requests.__version__}: {winner['algorithm']} won with {winner['latestPerformance']}, "
          f"{right:.3f} of the fresh rows are right")


if __name__ == "__main__":
    main(*sys.argv[1:])
