#!/usr/bin/env bash
# Looks for fused multiply-adds in what is compiled for arm64. A fused a*b + c rounds once where amd64 rounds twice, so
# a figure would depend on the machine; float64(a*b) + c keeps them apart.
set -euo pipefail
cd "$(dirname "$0")/.."

packages="units catalog deploy workload engine memory steptime record stats slo backend/sim advise claims suite"
found=0
for p in $packages; do
	[ -d "harness/$p" ] || continue
	lines=$(GOARCH=arm64 go build -gcflags=-S "./harness/$p" 2>&1 | grep -E '\bFN?M(ADD|SUB)[SD]\b' | grep -oE '[a-z_/]+\.go:[0-9]+' | grep -E "^harness|/harness/|^[a-z_]+\.go" | sort -u || true)
	if [ -n "$lines" ]; then
		found=1
		echo "$lines" | sed "s|^.*/harness/|harness/|"
	fi
done
if [ "$found" = 1 ]; then
	echo "these products are fused with a sum on arm64; write float64(a*b) + c" >&2
	exit 1
fi
echo "no fused multiply-add"
