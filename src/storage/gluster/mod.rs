//! glusterd, as its command line tells it: XML in, arguments out, and the record of a volume.
