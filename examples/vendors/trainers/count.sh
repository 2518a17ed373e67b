#!/bin/sh
# Counts until it is told to stop, and then puts its things in order.
say() { printf '%s\n' "$1" >> "$TRAINYARD_EVENTS"; }
trap 'echo "stopped at $step, all is in order"; exit 143' TERM
step=0
while :; do
  step=$((step + 1))
  say "{\"v\":1,\"seq\":$step,\"kind\":\"progress\",\"step\":$step}"
  sleep 0.02
done
