#!/bin/bash
# One piece of a training run on a machine that is lent for a limited time:
#   train/slot.sh STATE RESULTS SECONDS [arguments of python -m train]
# Goes on from what earlier pieces left in STATE, stops in time (Ctrl-C saves), exports the newest
# weights, and puts what is worth bringing home into RESULTS, as few files: weights, the newest
# checkpoint, and a tar of everything small (log, labels, pictures, curves, card).
set -u
state=$1 results=$2 seconds=$3
shift 3
mkdir -p "$state" "$results"
timeout --signal=INT --kill-after=60 "$seconds" \
    python3 -m train all --out "$state" "$@" >>"$state/log.txt" 2>&1
status=$?
if [ $status -eq 124 ] && [ -e "$state/joint.ckpt" ]; then
    python3 -m train export --out "$state" "$@" >>"$state/log.txt" 2>&1 || status=$?
fi
tr '\r' '\n' <"$state/log.txt" | tail -n 25
newest=$(ls -t "$state"/*.ckpt 2>/dev/null | head -n 1)
cp "$state"/*.safetensors ${newest:+"$newest"} "$results" 2>/dev/null
(cd "$state" && tar -czf - log.txt curves ./*.png ./*.md ./*.json $(ls -t labels?.npz | head -n 1)) \
    >"$results/rest.tar.gz" 2>/dev/null
case $status in
0) echo "slot: done" ;;
124) echo "slot: time is up; the same command goes on from here" ;;
*) echo "slot: failed with status $status" && exit "$status" ;;
esac
