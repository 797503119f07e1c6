//! `report`: one page with tables and plots from what the other programs measured. See `alluvium_benches::report`.

use std::process::ExitCode;

fn main() -> ExitCode {
    alluvium_benches::report::run(std::env::args().skip(1))
}
