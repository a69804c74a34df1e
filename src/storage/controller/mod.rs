//! Watches claims, volumes and classes, and carries out what `provision` answers.

pub mod csi;
