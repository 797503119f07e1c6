//! The command line `alluvium`; see [`alluvium::cli`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    alluvium::cli::main()
}
