//! Tests of the table: against a model, with colliding hashes, and with real threads.

mod edges;
mod model;
mod rig;
mod threads;
