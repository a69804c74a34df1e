# The first process of a host, in fresh mount and PID namespaces: whoever ends
# it ends everything on the host. With a program and a directory of certificates
# it is a storage host, with glusterd and the agent; without, one that mounts.
#
#   host.sh DIR [LOODS TLS]
set -eu
dir=$1 loods=${2:-} tls=${3:-}
mount -t tmpfs tmpfs /run
mkdir -p /run/gluster "$dir/log"
mount --bind "$dir/log" /var/log/glusterfs
if [ -z "$loods" ]; then
    mount -t tmpfs tmpfs /mnt
    sleep infinity &
    wait $!
    exit 1
fi
mkdir -p "$dir/state" "$dir/glusterd"
mount --bind "$dir/glusterd" /var/lib/glusterd
# Bricks first: glusterd must find them mounted. And this shell stays: it starts
# the agent again as a service manager would, and a first process has to collect
# those whose parents are gone, since glusterd takes a brick's process that nobody
# has collected for one that runs.
while :; do
    "$loods" storage agent --listen :24100 --state "$dir/state" --tls "$tls" \
        --allow "$dir" --start-glusterd >> "$dir/agent.log" 2>&1 &
    wait $! || true
    sleep 0.2
done
