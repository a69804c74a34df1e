# The wires of the demo: a bridge in the network that this runs in, and a
# network namespace for each host.
#
#   make.sh HOST=NUMBER...
#
# All addresses (198.18.77.0/24) exist in the demo's own namespaces only.
set -eu
ip link set lo up
ip link add br0 type bridge
ip link set br0 up
ip address add 198.18.77.1/24 dev br0
for pair in "$@"; do
    host=${pair%%=*}
    ip netns add "$host"
    ip -n "$host" link set lo up
    ip link add "to-$host" type veth peer name eth0 netns "$host"
    ip link set "to-$host" master br0 up
    ip -n "$host" link set eth0 up
    ip -n "$host" address add "198.18.77.${pair#*=}/24" dev eth0
done
