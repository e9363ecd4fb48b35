#!/bin/sh
# Makes the certificates that the tests and examples use, with the openssl command alone.
#
#   make-certs.sh DIRECTORY
#
# Does nothing when DIRECTORY already holds a set made by this version of the script less than 60
# days ago. A new set is made beside it and moved into place whole. README.md in this directory
# lists the files.
set -eu
umask 077

if [ $# -ne 1 ] || [ -z "$1" ]; then
    echo "usage: make-certs.sh DIRECTORY" >&2
    exit 2
fi
command -v openssl >/dev/null 2>&1 || {
    echo "make-certs.sh: the openssl command is missing; install the package openssl" >&2
    exit 1
}

script=$0
case $1 in /*) out=$1 ;; *) out=$PWD/$1 ;; esac
version=$(cksum <"$script")

is_fresh() {
    [ -f "$out/.made" ] || return 1
    [ "$(cat "$out/.made")" = "$version" ] || return 1
    [ -z "$(find "$out/.made" -mtime +59)" ]
}

is_fresh && exit 0

mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$out.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

run_openssl() {
    openssl "$@" 2>"$work/openssl.log" || {
        cat "$work/openssl.log" >&2
        echo "make-certs.sh: failed: openssl $*" >&2
        exit 1
    }
}

ec_key() { # FILE
    run_openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$1"
}

rsa_key() { # FILE
    run_openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/$1"
}

# A CA: self-signed, or signed by ISSUER (the stem of another CA's files).
ca() { # STEM NAME EXTRA [ISSUER]
    ec_key "$1-key.pem"
    run_openssl req -new -key "$work/$1-key.pem" -subj "/O=Sallyport tests/CN=$2" -out "$work/$1.csr"
    printf '%s\n' "basicConstraints=critical,CA:TRUE$3" 'keyUsage=critical,keyCertSign,cRLSign' \
        'subjectKeyIdentifier=hash' >"$work/$1.ext"
    if [ $# -eq 4 ]; then
        echo 'authorityKeyIdentifier=keyid' >>"$work/$1.ext"
        set -- "$1" -CA "$work/$4.pem" -CAkey "$work/$4-key.pem"
    else
        set -- "$1" -signkey "$work/$1-key.pem"
    fi
    stem=$1
    shift
    run_openssl x509 -req -sha256 -days 120 -in "$work/$stem.csr" "$@" \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/$stem.ext" -out "$work/$stem.pem"
}

# A leaf for the key in STEM-key.pem. NAMES is a subjectAltName, USE serverAuth or clientAuth.
leaf() { # STEM NAME NAMES USE ISSUER
    run_openssl req -new -key "$work/$1-key.pem" -subj "/O=Sallyport tests/CN=$2" -out "$work/$1.csr"
    printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
        "extendedKeyUsage=$4" "subjectAltName=$3" 'subjectKeyIdentifier=hash' \
        'authorityKeyIdentifier=keyid' >"$work/$1.ext"
    run_openssl x509 -req -sha256 -days "${days:-120}" -in "$work/$1.csr" \
        -CA "$work/$5.pem" -CAkey "$work/$5-key.pem" -set_serial "0x$(openssl rand -hex 16)" \
        -extfile "$work/$1.ext" -out "$work/$1.pem"
}

# `x509 -req -days` takes no date in the past; `ca` does.
expired_leaf() { # STEM NAME NAMES ISSUER
    leaf "$1" "$2" "$3" serverAuth "$4"
    : >"$work/index.txt"
    printf '%s\n' '[ca]' 'default_ca=one' '[one]' "database=$work/index.txt" \
        "new_certs_dir=$work" 'default_md=sha256' 'policy=any' 'rand_serial=yes' \
        '[any]' 'organizationName=optional' 'commonName=supplied' >"$work/ca.cnf"
    run_openssl ca -batch -notext -config "$work/ca.cnf" -in "$work/$1.csr" \
        -cert "$work/$4.pem" -keyfile "$work/$4-key.pem" -extfile "$work/$1.ext" \
        -startdate 20200101000000Z -enddate 20200201000000Z -out "$work/$1.pem"
}

here='DNS:localhost,IP:127.0.0.1,IP:::1'

ca ca 'Test CA' ''
ca other-ca 'Other CA' ''
ca intermediate 'Intermediate CA' ',pathlen:0' ca

ec_key server-key.pem
leaf server localhost "$here" serverAuth ca

rsa_key server-rsa-key.pem
leaf server-rsa localhost "$here" serverAuth ca

ec_key sni-key.pem
leaf sni second.example DNS:second.example serverAuth ca

ec_key wildcard-key.pem
leaf wildcard wild.example 'DNS:*.wild.example' serverAuth ca

ec_key client-key.pem
leaf client 'Test client' DNS:client.example clientAuth ca

ec_key expired-key.pem
expired_leaf expired localhost "$here" ca

ec_key wrong-host-key.pem
leaf wrong-host other.example DNS:other.example serverAuth ca

ec_key wrong-ca-key.pem
leaf wrong-ca localhost "$here" serverAuth other-ca

ec_key chain-key.pem
leaf chain localhost "$here" serverAuth intermediate
cat "$work/chain.pem" "$work/intermediate.pem" >"$work/chain.both"
mv "$work/chain.both" "$work/chain.pem"

run_openssl pkey -in "$work/server-key.pem" -aes-256-cbc -passout pass:sallyport \
    -out "$work/server-key-enc.pem"
run_openssl x509 -in "$work/server.pem" -outform der -out "$work/server.der"
run_openssl pkey -in "$work/server-key.pem" -outform der -out "$work/server-key.der"

find "$work" -type f ! -name '*.pem' ! -name '*.der' -exec rm -f {} +
rm -f "$work"/[0-9A-F]*.pem
chmod 755 "$work"
chmod 644 "$work"/*.pem "$work"/*.der
chmod 600 "$work"/*-key.pem "$work"/*-key-enc.pem "$work"/*-key.der
printf '%s\n' "$version" >"$work/.made"

# Two builds may race: the one that comes second takes the first one's set away and puts its own.
old=$out.old.$$
[ ! -e "$out" ] || mv "$out" "$old"
mv "$work" "$out"
rm -rf "$old"
