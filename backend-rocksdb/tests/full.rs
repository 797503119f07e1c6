//! The conformance kit over the RocksDB backend of a job whose checkpoints are full: no increment is ever asked for; and
//! where values lie in blob files. `conformance.rs` has the rest. Takes minutes, and is run by name:
//! `scripts/test -p alluvium-backend-rocksdb --test full`.

mod harness;

use alluvium_state_api::testkit::{Increments, Profile};
use harness::{BLOB_BYTES, PROFILE, TINY, harnesses};

/// What it promises such a job.
const FULL: Profile = Profile { increments: Increments::WrittenAsFull, ..PROFILE };

/// The same where memory is short.
const FULL_TINY: Profile = Profile { increments: Increments::WrittenAsFull, ..TINY };

/// All values of lists and many others lie in blob files.
const BLOBS: Profile = Profile { buffer_bytes: BLOB_BYTES, ..TINY };

harnesses! {
    /// Default options.
    Plain: FULL;
    /// Always short of memory.
    Tiny: FULL_TINY;
    /// Values in blob files, with increments.
    Blobs: BLOBS;
}

/// Default options.
mod plain {
    use crate::{FULL, Plain};
    use alluvium_state_api::{conformance_suite, fault_suite, model_suite};

    conformance_suite!(Plain, FULL);
    model_suite!(Plain);
    fault_suite!(Plain);
}

/// Tiny buffers.
mod tiny {
    use crate::{FULL_TINY, Tiny};
    use alluvium_state_api::{conformance_suite, model_suite};

    conformance_suite!(Tiny, FULL_TINY);
    model_suite!(Tiny);
}

/// Values in blob files.
mod blobs {
    use crate::{BLOBS, Blobs};
    use alluvium_state_api::{conformance_suite, model_suite};

    conformance_suite!(Blobs, BLOBS);
    model_suite!(Blobs);
}
