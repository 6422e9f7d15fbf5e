#!/bin/sh
# Starts the program with the newest Python of this system for which its libraries were packed.
for version in @VERSIONS@; do
  python=/usr/lib/choria-broker/bin/python$version
  if [ -x "$python" ]; then
    # Isolated: neither the environment, nor the user's own packages, nor the directory it is started in count.
    exec "$python" -I -m choria_broker "$@"
  fi
done
echo "choria-broker: there is none of these versions of Python in /usr/bin: @VERSIONS@; install one of them" >&2
exit 1
