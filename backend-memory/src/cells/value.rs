//! How a value lies in a cell: read, make, overwrite.

use crate::table::{Blob, Cell, Fixed};

/// A cell that holds exactly the bytes of one value.
pub(crate) trait ValueCell: Cell {
    /// The value.
    fn bytes(&self) -> &[u8];

    /// A cell with this value; `None` if it has not the width that the cell is for.
    fn make(value: &[u8]) -> Option<Self>;

    /// Overwrites the value; returns whether it has the right width.
    fn assign(&mut self, value: &[u8]) -> bool;

    /// The value of a copy whose other bytes are in `arena`.
    fn image_bytes<'a>(image: &'a Self::Image, arena: &'a [u8]) -> &'a [u8];
}

impl<const N: usize> ValueCell for Fixed<N> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    fn make(value: &[u8]) -> Option<Self> {
        value.try_into().ok().map(Self)
    }

    #[inline]
    fn assign(&mut self, value: &[u8]) -> bool {
        match <[u8; N]>::try_from(value) {
            Ok(value) => {
                self.0 = value;
                true
            }
            Err(_) => false,
        }
    }

    #[inline]
    fn image_bytes<'a>(image: &'a Self, _: &'a [u8]) -> &'a [u8] {
        &image.0
    }
}

impl ValueCell for Blob {
    #[inline]
    fn bytes(&self) -> &[u8] {
        Blob::bytes(self)
    }

    #[inline]
    fn make(value: &[u8]) -> Option<Self> {
        Some(Self::new(value))
    }

    #[inline]
    fn assign(&mut self, value: &[u8]) -> bool {
        Blob::assign(self, value);
        true
    }

    #[inline]
    fn image_bytes<'a>(image: &'a Self::Image, arena: &'a [u8]) -> &'a [u8] {
        image.bytes(arena)
    }
}
