#!/bin/sh
# Installs the clients that `make e2e` drives, as far as they are missing, and a Debian root file system to push.
# Debian's packages need root; the rest goes to a cache folder, $BERTH_CACHE or ~/.cache/berth. A second run takes a second.
set -eu

cache=${BERTH_CACHE:-$HOME/.cache/berth}
mirror=${BERTH_DEBIAN_MIRROR:-http://deb.debian.org/debian}
mkdir -p "$cache/bin"

die() {
	echo "install.sh: $*" >&2
	exit 1
}

# Debian packages, by the command that each brings.
packages=
need() { # need COMMAND PACKAGE
	PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || packages="$packages $2"
}
need docker docker.io
need dockerd docker.io
need containerd containerd
need ctr containerd
need podman podman
need runc runc
need buildah buildah
need skopeo skopeo
need debootstrap debootstrap
[ -x /usr/bin/aws ] || packages="$packages awscli" # another aws may be earlier in PATH; this one is used
if [ -n "$packages" ]; then
	[ "$(id -u)" = 0 ] || die "not root: please install$packages"
	command -v apt-get >/dev/null || die "no apt-get: please install$packages"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of words is what it is
	apt-get install -y -qq --no-install-recommends $packages
fi

# Clients in Go, at pinned versions. A binary says which version it was built from, so no stamp is needed.
build() { # build MODULE VERSION PACKAGE
	target=$cache/bin/${3##*/}
	if [ -x "$target" ] && go version -m "$target" | grep -q "^[[:space:]]*mod[[:space:]]*$1[[:space:]]*$2\([[:space:]]\|\$\)"; then
		return
	fi
	echo "install.sh: building ${3##*/} $2"
	GOBIN=$cache/bin go install "$3@$2" || die "cannot build $3@$2"
}
build github.com/google/go-containerregistry v0.22.1 github.com/google/go-containerregistry/cmd/crane
build oras.land/oras v1.3.6 oras.land/oras/cmd/oras
build github.com/regclient/regclient v0.11.7 github.com/regclient/regclient/cmd/regctl
build helm.sh/helm/v4 v4.3.1 helm.sh/helm/v4/cmd/helm
build github.com/sigstore/cosign/v3 v3.1.3 github.com/sigstore/cosign/v3/cmd/cosign

# A real root file system, 150 MB in some seven thousand files.
debian=$cache/debian-bookworm.tar
if [ ! -s "$debian" ]; then
	[ "$(id -u)" = 0 ] || die "not root: debootstrap cannot make $debian"
	echo "install.sh: making $debian"
	root=$(mktemp -d "$cache/debian.XXXXXX")
	trap 'rm -rf "$root"' EXIT
	PATH=$PATH:/usr/sbin:/sbin debootstrap --variant=minbase bookworm "$root/fs" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
		die "debootstrap failed, see $cache/debootstrap.log"
	tar -C "$root/fs" --exclude='./var/cache/apt/archives/*.deb' -c . >"$debian.part"
	mv "$debian.part" "$debian"
fi
