#!/bin/sh
# After the files are in place. Debian calls it with "configure" and the version that was there before, RPM with the
# number of versions that are there now.
set -e
case "$1" in
  configure) before="$2" ;;
  1) before="" ;;
  2) before="some" ;;
  *) exit 0 ;;
esac

getent group choria-broker > /dev/null || groupadd --system choria-broker
getent passwd choria-broker > /dev/null || useradd --system --gid choria-broker --home-dir /var/lib/choria-broker \
  --no-create-home --shell /usr/sbin/nologin choria-broker

# Choria's own package has this directory too, and may have other rights on it: they stay.
[ -d /etc/choria ] || install -d -m 0755 /etc/choria
for directory in /var/lib/choria-broker /var/log/choria-broker; do
  [ -d "$directory" ] || install -d -m 0750 -o choria-broker -g choria-broker "$directory"
done

# The service cannot write here, so what Python compiles is made now. It only starts more slowly without.
for python in /usr/lib/choria-broker/bin/python3.*; do
  if [ -x "$python" ]; then
    "$python" -I -m compileall -q /usr/lib/choria-broker/lib/python3 > /dev/null || true
  fi
done

if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  if [ -n "$before" ] && systemctl --quiet is-active choria-network-broker.service; then
    # Connections stay. Where it cannot, or the engine is to be another one, it says so, and nothing has changed for them.
    choria-broker upgrade --config /etc/choria/broker.conf \
      || echo "choria-broker: restart choria-network-broker when you have time; see above and choria-broker status"
  fi
fi

if [ -z "$before" ]; then
  echo "choria-broker: an example configuration is in /usr/share/doc/choria-broker/examples/broker.conf. Write"
  echo "/etc/choria/broker.conf, then: systemctl enable --now choria-network-broker"
fi
