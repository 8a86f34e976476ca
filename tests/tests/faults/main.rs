//! Faults: the process killed, the disk full, database and store away. The question is always the same: *was success
//! answered? then the object is there, whole.*

mod away;
mod backup;
mod kills;
mod limits;
mod rebuild;
mod syscalls;
mod tampering;
