#!/bin/bash
# One piece of a training run on a machine that is lent for a limited time:
#   train/slot.sh STATE RESULTS SECONDS [arguments of python -m train]
# Goes on from what earlier pieces left in STATE, stops in time (Ctrl-C saves), exports the newest
# weights, and copies what is worth bringing home (files below 16 MiB) to RESULTS.
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
find "$state" -maxdepth 1 -type f -size -16384k -exec cp {} "$results" \;
case $status in
0) echo "slot: done" ;;
124) echo "slot: time is up; the same command goes on from here" ;;
*) echo "slot: failed with status $status" && exit "$status" ;;
esac
