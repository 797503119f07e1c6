//! The built-in input: flights that left New York City in January 2013.
//!
//! The file lies in `data/` beside its origin, licence and checksum, and is part of the binary, so
//! that `alluvium run` works anywhere without a download.

use super::columns::Defaults;

/// `data/flights-2013-01.csv.gz`.
pub(super) static GZIP: &[u8] = include_bytes!("../../data/flights-2013-01.csv.gz");

/// The rows in it, header not counted; a test compares.
pub(super) const ROWS: u64 = 27_004;

/// What it is called in messages.
pub(super) const NAME: &str = "flights-2013-01 (built in)";

/// Which columns have which role unless asked otherwise, best first.
pub(super) const DEFAULTS: Defaults = Defaults {
    key: Some("tailnum"),
    measure: &["distance", "air_time"],
    category: &["dest", "carrier"],
};
