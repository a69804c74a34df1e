//! CSI Identity and Node: mounts on one node.
