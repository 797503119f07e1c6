//! The operations of the SPI, by kind of state.

mod entries;
mod lists;
mod maps;
mod merge;
mod values;

pub(crate) use lists::list_at;
