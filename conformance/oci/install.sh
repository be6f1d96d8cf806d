#!/bin/sh
# Builds the released conformance suite, v1.1.1, if it is not there yet. It is a test binary of ginkgo's, which `go install`
# does not build. It goes to a cache folder, $BERTH_CACHE or ~/.cache/berth.
# BERTH_DISTRIBUTION_SPEC may name another copy of the repository than GitHub's, such as a folder.
set -eu

commit=a139cc423184af6078077b9b7ee336eddbd03f8f # v1.1.1
source=${BERTH_DISTRIBUTION_SPEC:-https://github.com/opencontainers/distribution-spec}
binary=${BERTH_CACHE:-$HOME/.cache/berth}/bin/conformance-v1.1.1

[ ! -x "$binary" ] || exit 0
echo "install.sh: building the conformance suite v1.1.1"
mkdir -p "${binary%/*}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git init -q "$work"
git -C "$work" fetch -q --depth 1 "$source" refs/tags/v1.1.1 || {
	echo "install.sh: cannot fetch $source; BERTH_DISTRIBUTION_SPEC may name a copy" >&2
	exit 1
}
git -C "$work" -c advice.detachedHead=false checkout -q FETCH_HEAD
[ "$(git -C "$work" rev-parse HEAD)" = "$commit" ] || {
	echo "install.sh: v1.1.1 of $source is not $commit" >&2
	exit 1
}
cd "$work/conformance"
GOFLAGS=-mod=mod go test -c -o "$binary" .
