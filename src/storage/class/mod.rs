//! What a StorageClass asks for: the parameters of the in-tree plugin, read with its rules.
