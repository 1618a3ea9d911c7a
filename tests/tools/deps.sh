#!/bin/sh
# Installs what building, the demo and the tests need and is not there yet. On Debian and Ubuntu by apt-get, as root or
# by sudo; elsewhere it names what to install. With everything in place it changes nothing and needs no network.
set -u
build="gcc make pkg-config libdnnl-dev zlib1g-dev libstb-dev libjpeg-dev liblbfgs-dev librandom123-dev protobuf-c-compiler
    libprotobuf-c-dev libonnx-dev"
demo="dataset-fashion-mnist"
check="check libjansson-dev g++ cmake python3 mandoc libssl-dev valgrind abigail-tools clang-format"

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    cat <<TEXT
This system has no apt-get. Please install what is missing of:
  Fedora    gcc gcc-c++ make pkgconf onednn-devel zlib-devel stb_image-devel libjpeg-turbo-devel liblbfgs-devel
            Random123-devel check-devel jansson-devel cmake mandoc openssl-devel valgrind libabigail clang-tools-extra
  Arch      base-devel onednn zlib stb libjpeg-turbo liblbfgs random123 check jansson cmake mandoc openssl
            valgrind libabigail clang
  Homebrew  gcc make pkg-config onednn zlib jpeg-turbo check jansson; stb and Random123 are headers to be put on the
            include path
libjpeg-turbo may be missing: JPEG files then take longer to decode. So may liblbfgs: the library is then built without
logistic regression. So may protobuf-c with its compiler and onnx.proto (Fedora: protobuf-c-compiler, protobuf-c-devel,
onnx-devel): it then writes no ONNX models. The demo also wants the four files of Fashion-MNIST
(Debian's dataset-fashion-mnist).
TEXT
    exit 0
fi

missing=""
for package in $build $demo $check; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "deps: everything is installed"
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "deps: please install as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root="sudo"
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update </dev/null &&
    $as_root apt-get -qq install -y --no-install-recommends $missing </dev/null
