# The first process of a node: a machine's start, as far as a kubelet can see.
#
# It runs in the node's network namespace and in fresh mount, UTS and PID
# namespaces; whoever kills it ends everything on the node. Nothing it mounts
# is seen outside. Given in the environment:
#
#   NODE      the name of the node
#   DIR       its directory: configuration, logs, and all that it stores
#   PROGRAMS  where kubelet and kube-proxy lie
#   ADDRESSES for the kubelet, both families
#   IMAGES    archives to import, as an operator does on each node
set -eu

hostname "$NODE"
mount --make-rprivate /

# Its own /run and /var, over the machine's. Where layers of images and
# volumes are mounted there must be no overlay below.
mount -t tmpfs tmpfs /run
mkdir -p "$DIR/var" "$DIR/var.work" "$DIR/kubelet" "$DIR/containerd" "$DIR/decoys"
mount -t overlay overlay -o "lowerdir=/var,upperdir=$DIR/var,workdir=$DIR/var.work" /var
for part in kubelet containerd; do
    mkdir -p "/var/lib/$part"
    mount --bind "$DIR/$part" "/var/lib/$part"
done

# A fresh sysfs shows the node's own interfaces, but hides the cgroups.
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --move /run/cgroup /sys/fs/cgroup

# The kubelet sets these for the whole machine. Here it finds them set.
while read -r name value; do
    decoy=$DIR/decoys/$(basename "$name")
    echo "$value" > "$decoy"
    mount --bind "$decoy" "/proc/sys/$name"
done << END
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END

# What a pod mounts for the host is to arrive there.
mount --make-rshared /

part() {
    name=$1
    shift
    "$@" >> "$DIR/$name.log" 2>&1 &
}

part containerd containerd --config "$DIR/containerd.toml"
until ctr version > /dev/null 2>&1; do sleep 0.05; done
if [ ! -e "$DIR/imported" ]; then
    for image in $IMAGES; do
        ctr -n k8s.io images import "$image"
    done
    touch "$DIR/imported"
fi
part kubelet "$PROGRAMS/kubelet" --config "$DIR/kubelet.yaml" \
    --kubeconfig "$DIR/kubelet.conf" --cert-dir "$DIR/certs" \
    --hostname-override "$NODE" --node-ip "$ADDRESSES"
part kube-proxy "$PROGRAMS/kube-proxy" --config "$DIR/kube-proxy.yaml"

# A node without one of its parts is no node.
wait -n || true
echo "a part of $NODE has ended"
exit 1
