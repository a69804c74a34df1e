# The demo's own machine: fresh network, mount and PID namespaces, in which no
# name or mount of this one changes. Its end is the end of all in it.
#
#   stage.sh DIR PROGRAM ARGUMENT...
set -eu
dir=$1
shift
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount --bind "$dir/hosts" /etc/hosts
exec "$@"
