//! Why a command failed, as one line and an exit status.

use std::error::Error as StdError;

use alluvium_state_api::{Error, ErrorKind};

use crate::job::JobError;

/// The longest message, in characters.
const LONGEST: usize = 1000;

/// Exit statuses.
const FAILED: u8 = 1;
const REFUSED: u8 = 2;
/// As shells tell of a process that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    message: Option<String>,
    status: u8,
}

impl Failure {
    /// The request is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), status: REFUSED }
    }

    /// Something failed.
    pub(super) fn run(message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), status: FAILED }
    }

    /// Something did not verify, and the result that was printed says what.
    pub(super) fn reported() -> Self {
        Self { message: None, status: FAILED }
    }

    /// The same with another exit status.
    pub(super) fn with_status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    /// What the parser of the command line refuses; `meant` is the command that was meant, and the
    /// commands that there are below it.
    pub(super) fn from_clap(error: &clap::Error, (command, below): (String, Vec<String>)) -> Self {
        use clap::error::ErrorKind;
        let names: Vec<String> = below.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        let help = format!("see `{command} --help`");
        let none = matches!(
            error.kind(),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
        );
        if none {
            return Self::usage(format!("no command; choose one of {names}, and {help}"));
        }
        let text = error.render().to_string();
        let lines = text.lines().map(str::trim);
        let told = lines.take_while(|line| !line.starts_with("Usage:"));
        let kept: Vec<&str> = told
            .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
            .collect();
        let joined = kept.join(" ");
        let message = joined.strip_prefix("error: ").unwrap_or(&joined);
        if error.kind() == ErrorKind::InvalidSubcommand {
            return Self::usage(format!("{message}; there are {names}; {help}"));
        }
        Self::usage(format!("{message}; {help}"))
    }

    /// A request that the state contract refuses (`InvalidInput`, `Unsupported`, `Incompatible`), or
    /// a failure.
    pub(super) fn from_request(error: &Error) -> Self {
        let refused = matches!(
            error.kind(),
            ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::Incompatible
        );
        Self { message: Some(chain(error)), status: if refused { REFUSED } else { FAILED } }
    }

    /// The exit status.
    pub(super) fn status(&self) -> u8 {
        self.status
    }

    /// The message in one line, if there is one.
    pub(super) fn line(&self) -> Option<String> {
        let message = self.message.as_ref()?;
        let mut line = String::with_capacity(message.len());
        for character in message.chars().take(LONGEST) {
            if character.is_control() {
                line.push(' ');
            } else {
                line.push(character);
            }
        }
        Some(line)
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        let advice = match &error {
            JobError::State(error) => advice(error.kind()),
            JobError::Interrupted => {
                "; with --checkpoint-dir the same command goes on from the newest checkpoint"
            }
            _ => "",
        };
        let status = match &error {
            JobError::Interrupted => INTERRUPTED,
            error if error.is_usage() => REFUSED,
            _ => FAILED,
        };
        Self { message: Some(format!("{}{advice}", chain(&error))), status }
    }
}

/// What to do about a failure at run time whose message does not say so.
pub(super) fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Indeterminate => {
            "; free space or mend what is wrong there, or choose another place with --checkpoint-dir"
        }
        ErrorKind::Corrupted => "; check the disk, and run again with another --checkpoint-dir",
        ErrorKind::Bug => "; please report it with the command line",
        _ => "",
    }
}

/// An error and its causes in one line. A cause that its effect spells out is not repeated.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = match error.downcast_ref::<Error>() {
            Some(error) => error.message().to_owned(),
            None => error.to_string(),
        };
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::run("a\nb\tc");
        assert_eq!(failure.line().as_deref(), Some("a b c"));
        assert_eq!((failure.status(), Failure::usage("x").status()), (1, 2));
        assert_eq!(Failure::reported().line(), None);
    }

    #[test]
    fn a_cause_is_told_once() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::io("write", std::path::Path::new("a"), io);
        assert_eq!(chain(&error).matches("disk on fire").count(), 1);
        let error = Error::unavailable("no thread").with_source(std::io::Error::other("tired"));
        assert_eq!(chain(&error), "unavailable: no thread: tired");
    }
}
