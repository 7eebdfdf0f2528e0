#!/usr/bin/env bash
# Runs the suites' benchmarks and judges them; each mode is a target of the Makefile.
#
#   bench.sh once    OUT BENCH               this tree, once: OUT.txt and OUT-events/
#   bench.sh base    OUT BENCH BASE          the same for the merge base with BASE
#   bench.sh compare DIR BENCH BASE COUNT    both, interleaved COUNT times, and the gate's verdict
#   bench.sh aa      DIR BENCH COUNT         this tree against itself: DIR/floor.yaml, the noise of this machine
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

# absolute PATH: the path from the root of the file system.
absolute() { case $1 in /*) echo "$1" ;; *) echo "$root/$1" ;; esac; }

# build TREE BIN: compiles every suite of a tree.
build() {
	mkdir -p "$2"
	(cd "$1" && go test -c ${TAGS:+-tags "$TAGS"} -o "$2/" ./suites/...)
}

# measure TREE BIN OUT BENCH EVENTS: runs each suite's benchmarks once, in its own folder, and appends to OUT.
# TAGS=gpu or TAGS=ray chooses another backend.
measure() {
	local suite
	for suite in "$1"/suites/*/; do
		suite=$(basename "$suite")
		[ -x "$2/$suite.test" ] || continue
		(cd "$1/suites/$suite" && "$2/$suite.test" -test.run '^$' -test.bench "$4" -test.benchtime 1x ${5:+-events "$5"}) >>"$3"
	done
}

# start OUT TREE: begins an output with the revision that it measures.
start() {
	mkdir -p "$(dirname "$1")"
	printf '# commit %s\n' "$(git -C "$2" describe --always --dirty 2>/dev/null || echo unknown)" >"$1"
}

tmp=$(mktemp -d)
worktree=
cleanup() {
	[ -z "$worktree" ] || git worktree remove --force "$worktree" >/dev/null 2>&1 || true
	rm -rf "$tmp"
}
trap cleanup EXIT

# checkout BASE: lays the merge base with BASE in a worktree of its own.
checkout() {
	base=$(git merge-base HEAD "$1") || { echo "bench: no merge base with '$1'; name a revision with BASE=" >&2; exit 2; }
	worktree=$tmp/base
	git worktree add --quiet --detach "$worktree" "$base"
}

mode=$1
case $mode in
once)
	out=$(absolute "$2")
	build . "$tmp/new"
	start "$out.txt" .
	measure "$root" "$tmp/new" "$out.txt" "$3" "$out-events"
	cat "$out.txt"
	;;
base)
	out=$(absolute "$2")
	checkout "$4"
	build "$worktree" "$tmp/old"
	start "$out.txt" "$worktree"
	measure "$worktree" "$tmp/old" "$out.txt" "$3" "$out-events"
	cat "$out.txt"
	;;
compare | aa)
	dir=$(absolute "$2") bench=$3
	mkdir -p "$dir"
	rm -rf "$dir/old-events" "$dir/new-events"
	if [ "$mode" = compare ]; then
		checkout "$4"
		count=$5 old_tree=$worktree
		build "$old_tree" "$tmp/old"
	else
		count=$4 old_tree=$root
		ln -s "$tmp/new" "$tmp/old"
	fi
	build . "$tmp/new"
	go build -o "$tmp/symbiote" ./harness/cmd/symbiote
	old=$dir/old.txt new=$dir/new.txt
	start "$old" "$old_tree"
	start "$new" .
	for round in $(seq "$count"); do # old new, new old, …: what drifts touches both alike
		events=
		[ "$round" = 1 ] && [ "$mode" = compare ] && events=1
		if [ $((round % 2)) = 1 ]; then
			measure "$old_tree" "$tmp/old" "$old" "$bench" "${events:+$dir/old-events}"
			measure "$root" "$tmp/new" "$new" "$bench" "${events:+$dir/new-events}"
		else
			measure "$root" "$tmp/new" "$new" "$bench" ""
			measure "$old_tree" "$tmp/old" "$old" "$bench" ""
		fi
	done
	if [ "$mode" = aa ]; then
		"$tmp/symbiote" gate -write-floor "$dir/floor.yaml" "$old" "$new"
		exit
	fi
	go tool benchstat "$old" "$new" >"$dir/benchstat.txt" 2>&1 || true
	thresholds=$root/.github/gate/thresholds.yaml
	[ ! -e "$dir/floor.yaml" ] || thresholds=$thresholds,$dir/floor.yaml
	"$tmp/symbiote" gate \
		-thresholds "$thresholds" -waivers .github/gate/waivers.yaml \
		-accepted "$(git diff --name-only "$base" -- golden | cut -d/ -f2 | sort -u | paste -sd, -)" \
		-old-events "$dir/old-events" -new-events "$dir/new-events" -report "$dir/report" \
		-base "$(git rev-parse --short "$base")" -head "$(git describe --always --dirty)" \
		-reproduce "make bench-compare BASE=$(git rev-parse --short "$base") BENCH='$bench' COUNT=$count" \
		"$old" "$new"
	;;
*)
	echo "bench: mode '$mode', want once, base, compare or aa" >&2
	exit 2
	;;
esac
