"""Stands in for elizaOS's train_local.py: takes the same flags and no others, and prints the same. Trains nothing."""

import argparse
import json
import pathlib

parser = argparse.ArgumentParser()
for flag, kind in {
    "source-dir": str, "output": str, "backend": str, "model": str, "max-trajectories": int, "iters": int,
    "epochs": int, "batch-size": int, "lr": float, "lora": str,
}.items():
    parser.add_argument(f"--{flag}", type=kind)
parser.add_argument("--validate", action="store_true")
flags = parser.parse_args()

files = sorted(pathlib.Path(flags.source_dir).glob("*.json"))
assert files, "there are no trajectories"
for file in files:
    trajectory = json.loads(file.read_text())["trajectory"]
    assert isinstance(json.loads(trajectory["stepsJson"]), list)
print(f"Loading real training data from {flags.source_dir}")
print(f"Converted {len(files)} trajectories to training samples")
print(f"Training with {flags.backend}", flush=True)
print("{'loss': 1.5, 'grad_norm': 0.1, 'learning_rate': 1e-05, 'epoch': 1.0}")
folder = pathlib.Path(flags.output) / "adapter"
folder.mkdir(parents=True)
(folder / "adapter_config.json").write_text("{}")
(folder / "adapter_model.safetensors").write_bytes(b"weights")
print("Training complete")
print(f"Adapter saved to: {folder}")
