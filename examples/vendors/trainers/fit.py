"""Fits a line to noisy points by gradient descent; in its first attempt it is terminated halfway, as on a shared machine."""

import json
import os
import random
import signal

told = json.load(open(os.environ["TRAINYARD_CONTEXT"]))
events = open(os.environ["TRAINYARD_EVENTS"], "a", buffering=1)
seq = 0


def say(kind, **more):
    global seq
    seq += 1
    events.write(json.dumps({"v": 1, "seq": seq, "kind": kind, **more}) + "\n")


def loss(a, b):
    return sum((a * x + b - y) ** 2 for x, y in points) / len(points)


chance = random.Random(told["seed"])
points = [(x / 50, 3 * x / 50 + 1 + chance.gauss(0, 0.1)) for x in range(100)]
steps = told["params"]["steps"]
resume = told["resume_from"]
first, a, b = (resume["step"], *json.load(open(resume["uri"]))) if resume else (0, 0.0, 0.0)
for step in range(first + 1, steps + 1):
    slopes = [(a * x + b - y, x) for x, y in points]
    a -= 0.1 * sum(error * x for error, x in slopes) / len(points)
    b -= 0.1 * sum(error for error, _ in slopes) / len(points)
    if step % 100 == 0:
        say("progress", step=step, total=steps, metrics={"loss": loss(a, b)})
        name = f"{told['checkpoint_dir']}/{step}"
        with open(name, "w") as file:
            json.dump([a, b], file)
        say("checkpoint", step=step, uri=name)
    if told["attempt"] == 1 and step == steps // 2:
        os.kill(os.getpid(), signal.SIGTERM)
with open("line.json", "w") as file:
    json.dump({"a": a, "b": b}, file)
say("artifact", name="model", uri="line.json")
say("finished", outcome="ok", metrics={"loss": loss(a, b), "resumed_from": first})
