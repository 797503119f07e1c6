//! One workload on one side in a process of its own, so that nobody's memory is what another one has left behind.
//!
//! The program starts itself again with the same words, and names in a variable of the environment what this
//! process is to play. What it prints goes where the first one prints.

use std::env;
use std::process::Command;

use crate::Outcome;

const VARIABLE: &str = "ALLUVIUM_WORKLOADS_PART";

/// Which of the workloads, sizes and sides that the words ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) source: usize,
    pub(super) size: usize,
    pub(super) side: usize,
}

impl Part {
    /// What this process is to play; none where it is the first one.
    pub(super) fn of_this_process() -> Outcome<Option<Self>> {
        match env::var(VARIABLE) {
            Err(_absent) => Ok(None),
            Ok(text) => Self::parse(&text)
                .map(Some)
                .ok_or_else(|| format!("{VARIABLE} is {text:?}; unset it").into()),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(':').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        let part = Self { source: next()?, size: next()?, side: next()? };
        numbers.next().is_none().then_some(part)
    }

    /// Has another process play it; whether all was right there. It has told what was not.
    pub(super) fn play(self) -> Outcome<bool> {
        let Self { source, size, side } = self;
        let status = Command::new(env::current_exe()?)
            .args(env::args_os().skip(1))
            .env(VARIABLE, format!("{source}:{size}:{side}"))
            .status()?;
        match status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(format!("its process ended early: {status}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_three_numbers() {
        let part = Part { source: 1, size: 0, side: 22 };
        assert_eq!(Part::parse("1:0:22"), Some(part));
        for text in ["", "1:2", "1:2:3:4", "1:2:x", "1:-2:3"] {
            assert_eq!(Part::parse(text), None, "{text}");
        }
        assert_eq!(Part::of_this_process().unwrap(), None);
    }
}
