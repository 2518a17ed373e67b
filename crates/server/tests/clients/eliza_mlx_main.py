"""Stands in for mlx_lm: takes the same flags and no others, and prints as version 0.32 does. Trains nothing."""

import argparse
import json
import os
import pathlib
import sys

parser = argparse.ArgumentParser()
for flag, kind in {
    "model": str, "data": str, "adapter-path": str, "batch-size": int, "iters": int, "learning-rate": float,
    "steps-per-report": int, "steps-per-eval": int, "val-batches": int, "max-seq-length": int, "num-layers": int,
}.items():
    parser.add_argument(f"--{flag}", type=kind)
for flag in ["train", "mask-prompt"]:
    parser.add_argument(f"--{flag}", action="store_true")
assert sys.argv[1] == "lora", sys.argv
flags = parser.parse_args(sys.argv[2:])
assert flags.train and flags.mask_prompt and flags.model
assert "CARGO_MANIFEST_DIR" not in os.environ, "it sees what the server was started with"

for name in ["train", "valid"]:
    rows = [json.loads(line) for line in (pathlib.Path(flags.data) / f"{name}.jsonl").read_text().splitlines()]
    assert rows, f"the {name} set is empty"
    for row in rows:
        assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"], row

print(f"Loading {flags.model}")
iters = flags.iters or 1000
print(f"│ batch · iters {flags.batch_size or 4} · {iters} │")
for step in range(10, iters + 1, 10):
    print(f"{step} {2 - step / 100:.3f} ▼ 120.5 {step / 10:.1f}k", flush=True)
folder = pathlib.Path(flags.adapter_path)
folder.mkdir(parents=True)
(folder / "adapter_config.json").write_text("{}")
(folder / "adapters.safetensors").write_bytes(b"weights")
