#!/bin/bash
# One piece of a training run on a machine that is lent for a limited time:
#   train/slot.sh STATE RESULTS SECONDS STAGE [other arguments of python -m train]
# Goes on from what earlier pieces left in STATE, stops in time (Ctrl-C saves), exports the newest
# weights, and puts what is worth bringing home into RESULTS, as few files: weights, the newest
# checkpoint and labels (with these two in STATE, the stage goes on on any other machine), and a tar
# of everything small (log, newest pictures, curves, card).
set -u
state=$1 results=$2 seconds=$3 stage=$4
shift 4
mkdir -p "$state" "$results"
timeout --signal=INT --kill-after=60 "$seconds" \
    python3 -m train "$stage" --out "$state" "$@" >>"$state/log.txt" 2>&1
status=$?
if [ -e "$state/joint.ckpt" ] && { [ $status -eq 124 ] || [ "$stage" = joint ]; }; then
    python3 -m train export --out "$state" "$@" >>"$state/log.txt" 2>&1 || status=$?
fi
tr '\r' '\n' <"$state/log.txt" | tail -n 40
newest() { ls -t "$@" 2>/dev/null | head -n 1; }
for file in "$(newest "$state"/*.ckpt)" "$(newest "$state"/labels?.npz)" \
    "$(newest "$state"/*.safetensors)"; do
    [ -z "$file" ] || cp "$file" "$results"
done
(cd "$state" && tar -czf - log.txt curves ./*.md ./*.json $(ls -t ./*.png | head -n 3)) \
    >"$results/rest.tar.gz" 2>/dev/null
case $status in
0) echo "slot: done" ;;
124) echo "slot: time is up; the same command goes on from here" ;;
*) echo "slot: failed with status $status" && exit "$status" ;;
esac
