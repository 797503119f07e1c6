//! Which columns an input has, and which of them are key, measure and category.
//!
//! The rules are those of [`Selection`]; what was chosen by rule and not by the user is marked as
//! such, so that the command line can report it.

use std::fmt;

use super::error::{Result, SourceError, SourceErrorKind};
use super::record::Roles;
use super::sample::Sampled;

/// How many column names an error lists.
const LISTED: usize = 40;

/// The names of the columns, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    names: Vec<String>,
}

impl Schema {
    /// Refuses names that occur twice: a column could not be told by its name.
    pub(super) fn new(names: Vec<String>, place: &str) -> Result<Self> {
        let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        let twice = sorted.windows(2).find_map(|pair| match pair {
            [left, right] if left == right => Some(*left),
            _ => None,
        });
        if let Some(name) = twice {
            let message = format!("column {name:?} occurs twice in the header; rename one");
            return Err(SourceError::new(SourceErrorKind::Columns, place, message).with_line(1));
        }
        Ok(Self { names })
    }

    /// The names of all columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The index of the column called `name`.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn column(&self, index: usize, choice: Choice) -> Option<Column> {
        let name = self.names.get(index)?.clone();
        Some(Column { index, name, choice })
    }

    fn asked(&self, role: &str, name: &str, place: &str) -> Result<Column> {
        let found = self.index_of(name).and_then(|index| self.column(index, Choice::Asked));
        found.ok_or_else(|| {
            let message = format!("no column {name:?} for the {role}; there are: {self}");
            SourceError::new(SourceErrorKind::Columns, place, message)
        })
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names.iter().take(LISTED).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let plain = !name.is_empty() && !name.contains(|c: char| c == ',' || c.is_whitespace());
            if plain && !name.contains(char::is_control) {
                write!(f, "{comma}{name}")?;
            } else {
                write!(f, "{comma}{name:?}")?;
            }
        }
        let more = self.names.len().saturating_sub(LISTED);
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

/// The columns that the user asked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRequest {
    /// The key; must be given unless the input is a built-in one.
    pub key: Option<String>,
    /// The measure.
    pub measure: Option<String>,
    /// The category.
    pub category: Option<String>,
}

impl ColumnRequest {
    /// Asks for a key, and leaves the rest to the rules.
    #[must_use]
    pub fn by_key(key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }
}

/// How a column got its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The user named it.
    Asked,
    /// The rules of [`Selection`] chose it.
    Default,
}

/// A column with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place in the [`Schema`].
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Who chose it.
    pub choice: Choice,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.choice == Choice::Default { " (by default)" } else { "" };
        write!(f, "{}{how}", self.name)
    }
}

/// The columns with a role.
///
/// What the user names is taken. Otherwise built-in inputs have fixed defaults, and any other input
/// is judged by its first 1000 records:
///
/// * the **key** must be named;
/// * the **measure** is the first column other than the key whose values are all whole numbers of
///   64 bits (missing ones aside), one whose values differ before one whose values are all the
///   same; there is none if no column is like that;
/// * the **category** is the first column other than key and measure: one with values before one
///   without, text before numbers of any form, one whose values differ before one whose values do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The column of the key.
    pub key: Column,
    /// The column of the measure, if there is one.
    pub measure: Option<Column>,
    /// The column of the category, if there is one.
    pub category: Option<Column>,
}

/// The preferences of a built-in input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    pub(super) key: Option<&'static str>,
    pub(super) measure: &'static [&'static str],
    pub(super) category: &'static [&'static str],
}

impl Selection {
    /// Applies the rules.
    pub(super) fn resolve(
        schema: &Schema,
        request: &ColumnRequest,
        defaults: Defaults,
        sampled: &Sampled,
        place: &str,
    ) -> Result<Self> {
        let key = match (&request.key, defaults.key) {
            (Some(name), _) => schema.asked("key", name, place)?,
            (None, Some(name)) => {
                Column { choice: Choice::Default, ..schema.asked("key", name, place)? }
            }
            (None, None) => {
                let message = format!("needs a key; name one of its columns with --key: {schema}");
                return Err(SourceError::new(SourceErrorKind::Columns, place, message));
            }
        };
        let measure = match &request.measure {
            Some(name) => {
                let column = schema.asked("measure", name, place)?;
                sampled.check_whole_numbers(&column, place)?;
                Some(column)
            }
            None => named(schema, defaults.measure, &[key.index])
                .or_else(|| sampled.best_measure(key.index))
                .and_then(|index| schema.column(index, Choice::Default)),
        };
        let category = if let Some(name) = &request.category {
            Some(schema.asked("category", name, place)?)
        } else {
            let taken = [key.index, measure.as_ref().map_or(key.index, |column| column.index)];
            named(schema, defaults.category, &taken)
                .or_else(|| sampled.best_category(&taken))
                .and_then(|index| schema.column(index, Choice::Default))
        };
        Ok(Self { key, measure, category })
    }

    pub(super) fn roles(&self) -> Roles {
        Roles {
            key: self.key.index,
            measure: self.measure.as_ref().map(|column| column.index),
            category: self.category.as_ref().map(|column| column.index),
        }
    }
}

fn named(schema: &Schema, names: &[&str], taken: &[usize]) -> Option<usize> {
    let mut known = names.iter().filter_map(|name| schema.index_of(name));
    known.find(|index| !taken.contains(index))
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.key)?;
        for (role, column) in [("measure", &self.measure), ("category", &self.category)] {
            match column {
                Some(column) => write!(f, ", {role} {column}")?,
                None => write!(f, ", no {role}")?,
            }
        }
        Ok(())
    }
}
