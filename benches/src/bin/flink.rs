//! `flink`: our side of the comparison with Apache Flink, and the comparison. See `alluvium_benches::flink`.

use std::process::ExitCode;

fn main() -> ExitCode {
    alluvium_benches::flink::run(std::env::args().skip(1))
}
