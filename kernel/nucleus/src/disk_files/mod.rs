//! Disks as files.
