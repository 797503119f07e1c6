//! Settings from TOML text: nested tables are flattened with dots.
//!
//! Values are strings, whole numbers and booleans. In TOML `state.backend` cannot be both a string
//! and the table that holds `state.backend.incremental`: quote one of them
//! (`"state.backend" = "memory"`) or write `state.backend.type`.

use toml::de::{DeTable, DeValue};

use super::Settings;
use crate::{Error, Result};

impl Settings {
    /// Settings from TOML text.
    ///
    /// # Errors
    /// `InvalidInput` with the line: what is no TOML, values that are lists, fractions or dates;
    /// as [`set`](Settings::set). The text itself is not quoted, for it may hold secrets.
    pub fn from_toml(text: &str) -> Result<Self> {
        let table = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let advice = if error.message().contains("cannot extend") {
                "; a key that is also the beginning of others must be quoted, such as \
                 \"state.backend\" = \"memory\""
            } else {
                ""
            };
            Error::invalid_input(format!(
                "line {} of the settings is no TOML: {}{advice}",
                line_of(text, start),
                error.message().replace('\n', " ")
            ))
        })?;
        let mut settings = Self::new();
        settings.flatten(text, "", table.get_ref())?;
        Ok(settings)
    }

    fn flatten(&mut self, text: &str, prefix: &str, table: &DeTable<'_>) -> Result<()> {
        for (name, value) in table {
            let key = match prefix {
                "" => name.get_ref().to_string(),
                _ => format!("{prefix}.{}", name.get_ref()),
            };
            let written = match value.get_ref() {
                DeValue::Table(inner) => {
                    self.flatten(text, &key, inner)?;
                    continue;
                }
                DeValue::String(string) => string.to_string(),
                DeValue::Boolean(flag) => flag.to_string(),
                DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
                other => {
                    return Err(Error::invalid_input(format!(
                        "line {} of the settings: {key} is a {}; write a string, a decimal number \
                         or a boolean",
                        line_of(text, value.span().start),
                        kind_of(other)
                    )));
                }
            };
            self.set(&key, &written).map_err(|error| {
                let line = line_of(text, value.span().start);
                let message = format!("line {line} of the settings: {}", error.message());
                Error::invalid_input(message)
            })?;
        }
        Ok(())
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "list",
        DeValue::Float(_) => "fraction",
        DeValue::Datetime(_) => "date",
        DeValue::Integer(_) => "number that is not decimal",
        _ => "value of another kind",
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}
