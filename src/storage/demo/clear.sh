# Clears up behind the demo, however it ended: waits until its standard input
# is closed. Ends only what runs in the demo's own namespaces.
#
#   clear.sh TAG DIR
trap '' INT TERM HUP
cat > /dev/null
for space in $(ip netns list | cut -d' ' -f1 | grep "^$1-"); do
    for pid in $(ip netns pids "$space"); do
        kill -9 "$pid" 2> /dev/null
    done
    ip netns del "$space"
done
# A loop device may be busy until the last process that saw it mounted is gone.
for _ in $(seq 50); do
    left=$(losetup --list --noheadings --output NAME,BACK-FILE | grep -F "$2/" | cut -d' ' -f1)
    [ -n "$left" ] || break
    for device in $left; do losetup -d "$device" 2> /dev/null; done
    sleep 0.1
done
rm -rf "$2"
