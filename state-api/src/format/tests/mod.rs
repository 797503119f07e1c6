//! Tests of the formats as a whole; those of single structures are beside them.

#![expect(clippy::cast_possible_truncation, reason = "small random numbers")]

mod damage;
mod golden;
mod helpers;
mod limits;
mod lookups;
mod metadata;
mod model;
mod round_trip;
