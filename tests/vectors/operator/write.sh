#!/bin/sh
# Writes the store OPS beside this file anew, with the real nsc: NSC_BIN=... sh write.sh
# It is for tests only. The keys of operator and accounts are thrown away; those of the users are checked in and open
# nothing but brokers that tests start. Nothing in it expires.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nsc() { "$NSC_BIN" --config-dir "$work" --data-dir "$work/stores" --keystore-dir "$work/keys" "$@"; }

nsc add operator --name OPS --sys --generate-signing-key
nsc edit operator --require-signing-keys
nsc add account --name ACME
nsc add account --name GLOBEX
nsc add account --name FLEET
nsc edit account --name FLEET --js-mem-storage 16M --js-disk-storage 64M --js-streams 8 --js-consumer 20
nsc add export --account ACME --name prices --subject 'prices.>'
nsc add export --account ACME --name quote --subject quote --service
acme=$(nsc describe account ACME --field sub | tr -d '"')
nsc add import --account GLOBEX --src-account "$acme" \
  --remote-subject 'prices.>' --local-subject 'acme.prices.>' --name prices
nsc add import --account GLOBEX --src-account "$acme" \
  --remote-subject quote --local-subject acme.quote --name quote --service
for account in SYS ACME GLOBEX FLEET; do
  nsc edit account --name $account --sk generate
  nsc add user --account $account --name broker
done

rm -rf OPS
mkdir OPS
cp "$work/stores/OPS/OPS.jwt" OPS
for account in SYS ACME GLOBEX FLEET; do
  mkdir -p OPS/accounts/$account OPS/creds/$account
  cp "$work/stores/OPS/accounts/$account/$account.jwt" OPS/accounts/$account
  cp "$work/keys/creds/OPS/$account/broker.creds" OPS/creds/$account
done
find OPS -type f -exec chmod 644 {} +
