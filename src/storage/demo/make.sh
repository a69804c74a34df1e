# The wires of the demo: a bridge, and a network namespace for each host.
#
#   make.sh TAG HOST=NUMBER...
#
# All addresses (198.18.77.0/24) exist in these namespaces only.
set -eu
tag=$1
shift
ip netns add "$tag-core"
ip -n "$tag-core" link set lo up
ip -n "$tag-core" link add br0 type bridge
ip -n "$tag-core" link set br0 up
ip -n "$tag-core" address add 198.18.77.1/24 dev br0
for pair in "$@"; do
    host=${pair%%=*}
    ip netns add "$tag-$host"
    ip -n "$tag-$host" link set lo up
    ip -n "$tag-$host" link add eth0 type veth peer name "to-$host" netns "$tag-core"
    ip -n "$tag-core" link set "to-$host" master br0 up
    ip -n "$tag-$host" link set eth0 up
    ip -n "$tag-$host" address add "198.18.77.${pair#*=}/24" dev eth0
done
