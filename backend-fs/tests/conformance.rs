//! The conformance kit over the file-system backend, static and boxed, mapped and read, with and without
//! enough memory, and its random sequences.

mod harness;

/// Mapped.
mod mapped {
    use crate::harness::{Mapped, PROFILE};
    use alluvium_state_api::{conformance_suite, fault_suite, model_suite};

    conformance_suite!(Mapped, PROFILE);
    model_suite!(Mapped);
    fault_suite!(Mapped);
}

/// Read.
mod read {
    use crate::harness::{PROFILE, Read};
    use alluvium_state_api::conformance_suite;

    conformance_suite!(Read, PROFILE);
}

/// Mapped, with tiny budgets.
mod tiny_mapped {
    use crate::harness::{PROFILE, TinyMapped};
    use alluvium_state_api::{conformance_suite, model_suite};

    conformance_suite!(TinyMapped, PROFILE);
    model_suite!(TinyMapped);
}

/// Read, with tiny budgets.
mod tiny_read {
    use crate::harness::{PROFILE, TinyRead};
    use alluvium_state_api::{conformance_suite, model_suite};

    conformance_suite!(TinyRead, PROFILE);
    model_suite!(TinyRead);
}
