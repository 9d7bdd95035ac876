//! The vDSO: code of the kernel's that programs run themselves.

use abi::Result;
use nucleus::mm::Memory;

/// Maps it; where, or 0 if there is none.
pub(crate) fn map(_memory: &Memory) -> Result<u64> {
    Ok(0)
}
