//! Tells the programs which compiler made them: a report without that cannot be compared.

use std::io::Write as _;
use std::process::Command;

fn main() -> std::io::Result<()> {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output()?;
    let version = String::from_utf8_lossy(&version.stdout);
    let mut out = std::io::stdout();
    writeln!(out, "cargo::rerun-if-changed=build.rs")?;
    writeln!(out, "cargo::rustc-env=ALLUVIUM_RUSTC={}", version.trim())
}
