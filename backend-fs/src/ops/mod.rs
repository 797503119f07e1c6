//! The operations of the SPI, by kind of state.

mod lists;
mod merge;
mod scan;
pub(crate) mod values;
