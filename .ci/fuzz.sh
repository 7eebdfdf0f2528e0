#!/usr/bin/env bash
# Fuzzes each target of the repository for so long: fuzz.sh 30s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do
	package=./$(dirname "${file#./}")
	grep -oE '^func Fuzz\w+' "$file" | sed 's/^func //' | while read -r target; do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
	done
done
