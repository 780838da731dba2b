//! A file's bytes, mapped or in memory.

use std::ops::Deref;

use memmap2::Mmap;

#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(Mmap),
    Held(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Held(bytes) => bytes,
        }
    }
}
