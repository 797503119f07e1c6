//! The conformance kit over the RocksDB backend, static and boxed, with default options and with tiny buffers; and
//! random sequences.

mod harness;

use harness::{PROFILE, TINY, harnesses};

harnesses! {
    /// Default options.
    Plain: PROFILE;
    /// Always short of memory.
    Tiny: TINY;
}

/// Default options.
mod plain {
    use crate::{PROFILE, Plain};
    use alluvium_state_api::{conformance_suite, fault_suite, model_suite};

    conformance_suite!(Plain, PROFILE);
    model_suite!(Plain);
    fault_suite!(Plain);
}

/// Tiny buffers.
mod tiny {
    use crate::{TINY, Tiny};
    use alluvium_state_api::{conformance_suite, model_suite};

    conformance_suite!(Tiny, TINY);
    model_suite!(Tiny);
}
