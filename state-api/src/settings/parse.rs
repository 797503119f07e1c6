//! Sizes, durations and flags, strictly, as Flink writes them.
//!
//! A quantity is decimal digits, perhaps blanks, perhaps a unit; no sign, no fraction.

use std::time::Duration;

/// Digits and unit of a quantity; `None` if there are no digits or too many for 64 bits.
fn quantity(text: &str) -> Option<(u64, String)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

/// The bytes of a size such as `20 kb` or `1g`; a number alone is bytes. `None` for what is no size.
pub fn size(text: &str) -> Option<u64> {
    let (count, unit) = quantity(text)?;
    let shift = match unit.as_str() {
        "" | "b" | "byte" | "bytes" => 0,
        "k" | "kb" | "kib" | "kibibytes" => 10,
        "m" | "mb" | "mib" | "mebibytes" => 20,
        "g" | "gb" | "gib" | "gibibytes" => 30,
        "t" | "tb" | "tib" | "tebibytes" => 40,
        _ => return None,
    };
    count.checked_mul(1 << shift)
}

/// A duration such as `500 ms` or `1 h`; a number alone is milliseconds. `None` for what is no duration.
pub fn duration(text: &str) -> Option<Duration> {
    const DAY_S: u64 = 24 * 60 * 60;
    let (count, unit) = quantity(text)?;
    let seconds = |each: u64| count.checked_mul(each).map(Duration::from_secs);
    match unit.as_str() {
        "ns" | "nano" | "nanosecond" | "nanoseconds" => Some(Duration::from_nanos(count)),
        "us" | "µs" | "micro" | "microsecond" | "microseconds" => {
            Some(Duration::from_micros(count))
        }
        "" | "ms" | "milli" | "millisecond" | "milliseconds" => Some(Duration::from_millis(count)),
        "s" | "sec" | "secs" | "second" | "seconds" => seconds(1),
        "m" | "min" | "minute" | "minutes" => seconds(60),
        "h" | "hour" | "hours" => seconds(60 * 60),
        "d" | "day" | "days" => seconds(DAY_S),
        _ => None,
    }
}

/// A boolean.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A whole number.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `bytes` in the largest unit that divides it.
pub(super) fn size_text(bytes: u64) -> String {
    for (shift, unit) in [(40, "tb"), (30, "gb"), (20, "mb"), (10, "kb")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} b")
}

/// `duration` in the largest unit that divides it.
pub(super) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() != 0 {
        return match duration.as_nanos() {
            ns if ns % 1_000_000 == 0 => format!("{} ms", ns / 1_000_000),
            ns => format!("{ns} ns"),
        };
    }
    match seconds {
        0 => "0 ms".to_owned(),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
