//! The conformance kit over the combinations that `conformance.rs` leaves out. Takes minutes, and is run by
//! name: `cargo test -p alluvium-backend-fs --test modes`.

mod harness;

use harness::{PROFILE, TINY, harnesses};

harnesses! {
    /// Read.
    Read: PROFILE, Pread;
    /// Mapped, and always short of memory.
    TinyMapped: TINY, Mapped;
}

/// Read.
mod read {
    use crate::{PROFILE, Read};
    use alluvium_state_api::{conformance_suite, model_suite};

    conformance_suite!(Read, PROFILE);
    model_suite!(Read);
}

/// Mapped, with tiny budgets.
mod tiny_mapped {
    use crate::{TINY, TinyMapped};
    use alluvium_state_api::{conformance_suite, model_suite};

    conformance_suite!(TinyMapped, TINY);
    model_suite!(TinyMapped);
}
