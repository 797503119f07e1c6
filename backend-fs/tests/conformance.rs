//! The conformance kit over the file-system backend, static and boxed: mapped with default budgets, and
//! read instead of mapped with budgets so small that it is always short of memory; and random sequences.
//! The other two combinations are in `modes.rs`.

mod harness;

use harness::{PROFILE, TINY, harnesses};

harnesses! {
    /// Default options: mapped.
    Mapped: PROFILE, Mapped;
    /// Read, and always short of memory.
    TinyRead: TINY, Pread;
}

/// Mapped.
mod mapped {
    use crate::{Mapped, PROFILE};
    use alluvium_state_api::{conformance_suite, fault_suite, model_suite};

    conformance_suite!(Mapped, PROFILE);
    model_suite!(Mapped);
    fault_suite!(Mapped);
}

/// Read, with tiny budgets.
mod tiny_read {
    use crate::{TINY, TinyRead};
    use alluvium_state_api::{conformance_suite, model_suite};

    conformance_suite!(TinyRead, TINY);
    model_suite!(TinyRead);
}
