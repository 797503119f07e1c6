//! `workloads`: plays operators' workloads on backends by name. See `alluvium_benches::session`.

use std::process::ExitCode;

fn main() -> ExitCode {
    alluvium_benches::session::run(&alluvium::registry(), std::env::args().skip(1))
}
