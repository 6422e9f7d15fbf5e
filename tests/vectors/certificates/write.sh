#!/bin/sh
# Writes the certificates beside this file anew, with OpenSSL 3: sh write.sh
# They are for tests only, of kinds that the Python library does not make. All keys are worth nothing and checked in.
# NAME.pem is a certificate for broker.example.net, NAME.key its key, root.pem the CA; nothing expires before 2126.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
days=36500
cat > "$work/ext" <<EOF
subjectAltName = DNS:broker.example.net
extendedKeyUsage = serverAuth, clientAuth
EOF
ca() { # NAME KEY [HASH]
    openssl req -x509 -new -key "$2" -subj "/CN=$1" -days $days "-${3:-sha256}" -out "$1.pem" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign
}
leaf() { # NAME CA CAKEY [OPTIONS]
    name=$1 issuer=$2 key=$3
    shift 3
    openssl req -new -key "$name.key" -subj /CN=broker.example.net -out "$work/csr"
    openssl x509 -req -in "$work/csr" -CA "$issuer.pem" -CAkey "$key" -days $days -extfile "$work/ext" -out "$name.pem" "$@"
}
openssl genrsa -out "$work/root.key" 2048
ca root "$work/root.key"
ca sha1-root "$work/root.key" sha1
for hash in sha1 md5 sha224 sha512; do
    openssl ecparam -name prime256v1 -genkey -noout -out "$hash.key"
    leaf "$hash" root "$work/root.key" "-$hash"
done
openssl ecparam -name prime256v1 -genkey -noout -out under-sha1-root.key
leaf under-sha1-root sha1-root "$work/root.key"
openssl ecparam -name prime256v1 -genkey -noout -out pss.key
leaf pss root "$work/root.key" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32
openssl ecparam -name prime256v1 -genkey -noout -out odd-pss.key
leaf odd-pss root "$work/root.key" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20
for bits in 768 1000 1024 1536 8200; do
    openssl genrsa -out "rsa$bits.key" "$bits"
    leaf "rsa$bits" root "$work/root.key"
done
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out rsa-pss-key.key
leaf rsa-pss-key root "$work/root.key"
for curve in secp224r1 secp384r1 secp521r1 secp256k1 brainpoolP256r1; do
    openssl ecparam -name "$curve" -genkey -noout -out "$curve.key"
    leaf "$curve" root "$work/root.key"
done
for kind in ed25519 ed448; do
    openssl genpkey -algorithm "$kind" -out "$kind.key"
    leaf "$kind" root "$work/root.key"
done
openssl dsaparam -genkey -noout -out dsa.key 2048
leaf dsa root "$work/root.key"
openssl genrsa -out "$work/short-root.key" 768
ca short-root "$work/short-root.key"
openssl ecparam -name prime256v1 -genkey -noout -out under-short-root.key
leaf under-short-root short-root "$work/short-root.key"
for serial in 0 -7; do
    openssl ecparam -name prime256v1 -genkey -noout -out "serial$serial.key"
    leaf "serial$serial" root "$work/root.key" -set_serial "$serial"
done
openssl ecparam -name prime256v1 -genkey -noout -out encrypted.plain
openssl pkcs8 -topk8 -in encrypted.plain -passout pass:x -out encrypted-pkcs8.key
openssl ec -in encrypted.plain -aes128 -passout pass:x -out encrypted-legacy.key
openssl ecparam -name prime256v1 -genkey -out with-parameters.key
leaf with-parameters root "$work/root.key"
rm encrypted.plain
