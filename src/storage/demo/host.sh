# The first process of a storage host: glusterd and the agent, with a /run,
# /var/lib/glusterd and names of hosts of its own. It runs in fresh mount and
# PID namespaces: whoever ends it ends everything on the host.
#
#   host.sh LOODS HOST DIR TLS HOSTS
set -eu
loods=$1 host=$2 dir=$3 tls=$4 hosts=$5
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/gluster "$dir/state" "$dir/glusterd" "$dir/log" "$dir/device"
mount --bind "$dir/glusterd" /var/lib/glusterd
mount --bind "$dir/log" /var/log/glusterfs
mount --bind "$hosts" /etc/hosts
# Bricks first: glusterd must find them mounted.
"$loods" storage agent --listen :24100 --state "$dir/state" --tls "$tls" \
    --allow "$dir/device" > "$dir/agent.log" 2>&1 &
glusterd -N > "$dir/glusterd.log" 2>&1 &
wait -n || true
echo "a part of $host has ended" >&2
exit 1
