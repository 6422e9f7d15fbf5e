#!/bin/sh
# Before the files go: on Debian "remove" or "upgrade", on RPM the number of versions that stay.
set -e
case "$1" in
  remove | 0)
    if command -v systemctl > /dev/null; then
      [ ! -d /run/systemd/system ] || systemctl stop choria-network-broker.service || true
      # Takes the links away, so that a unit choria-broker.service of Choria's own package counts again.
      systemctl --quiet disable choria-network-broker.service || true
    fi
    # Nothing is left of what Python compiled.
    find /usr/lib/choria-broker -type d -name __pycache__ -prune -exec rm -rf {} +
    ;;
esac
