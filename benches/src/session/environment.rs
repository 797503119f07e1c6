//! Where figures come from: machine, versions and command, as the first line of what `--json` prints.

use std::fs::read_to_string;
use std::num::NonZero;
use std::process::Command;
use std::thread::available_parallelism;

use serde_json::{Value, json};

use crate::clock::today;

/// The line for a program that was started by this command.
pub fn line(command: &[String]) -> String {
    json!({ "environment": {
        "version": env!("CARGO_PKG_VERSION"), "commit": commit(), "cpu": cpu(),
        "cores": available_parallelism().ok().map(NonZero::get),
        "memory_bytes": read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text)),
        "os": os(), "rustc": env!("ALLUVIUM_RUSTC"), "date": today(),
        "command": command, "features": features(),
    }})
    .to_string()
}

/// The commit of the sources that this program was built from, if they are still there.
fn commit() -> Option<String> {
    let described = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--tags"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&described.stdout).trim().to_owned();
    (described.status.success() && !text.is_empty()).then_some(text)
}

/// What stands behind this name in lines of `name separator text`.
fn named<'a>(text: &'a str, name: &str, separator: char) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, text)| text.trim())
}

fn cpu() -> Option<String> {
    let text = read_to_string("/proc/cpuinfo").ok()?;
    let name = named(&text, "model name", ':').or_else(|| named(&text, "CPU part", ':'));
    name.map(str::to_owned)
}

fn memory(text: &str) -> Option<u64> {
    let kilobytes = named(text, "MemTotal", ':')?.strip_suffix("kB")?;
    kilobytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn os() -> Value {
    let release = read_to_string("/etc/os-release").unwrap_or_default();
    let name = named(&release, "PRETTY_NAME", '=').unwrap_or("Linux").trim_matches('"');
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{name}, kernel {}", kernel.trim()).into()
}

/// The features of this crate that were built in.
fn features() -> Vec<&'static str> {
    let all = [("peers", cfg!(feature = "peers")), ("rocksdb", cfg!(feature = "rocksdb"))];
    all.into_iter().filter(|(_, built_in)| *built_in).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_machine_versions_and_command() {
        let line = line(&["workloads".to_owned(), "--json".to_owned()]);
        let json: Value = serde_json::from_str(&line).unwrap();
        let found = &json["environment"];
        assert_eq!(found["command"], json!(["workloads", "--json"]));
        assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
        assert!(found["cores"].as_u64().unwrap() > 0);
        assert!(found["memory_bytes"].as_u64().unwrap() > 1 << 27);
        assert!(found["rustc"].as_str().unwrap().starts_with("rustc 1."));
        assert!(found["os"].as_str().unwrap().contains("kernel"));
        assert_eq!(found["date"].as_str().unwrap().len(), 10);
        assert!(found["features"].is_array() && found["cpu"].is_string());
    }

    #[test]
    fn what_the_system_tells_is_found_by_its_name() {
        let text = "MemFree: 5 kB\nMemTotal:    16 kB\n";
        assert_eq!(memory(text), Some(16 << 10));
        assert_eq!(memory("MemTotal: many\n"), None);
        assert_eq!(named("NAME=\"x\"\nPRETTY_NAME=\"A b\"\n", "PRETTY_NAME", '='), Some("\"A b\""));
    }
}
