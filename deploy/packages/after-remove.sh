#!/bin/sh
# After the files are gone. Configuration, data, log and the user that owns them stay; "purge" removes the log.
set -e
case "$1" in
  remove | purge | 0)
    rm -rf /usr/lib/choria-broker
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload || true
    fi
    ;;
esac
case "$1" in
  purge)
    rm -rf /var/log/choria-broker
    ;;
esac
