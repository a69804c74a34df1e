# The first process of a host that mounts volumes: names of hosts, logs and
# mounts of its own, until somebody ends it.
#
#   web.sh DIR HOSTS
set -eu
mount --make-rprivate /
mkdir -p "$1/log"
mount -t tmpfs tmpfs /run
mount --bind "$1/log" /var/log/glusterfs
mount -t tmpfs tmpfs /mnt
mount --bind "$2" /etc/hosts
exec sleep infinity
