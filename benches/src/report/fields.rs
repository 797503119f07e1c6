//! [`Fields`]: one JSON object of a file, read by names, with errors that tell file, line and name.

use serde_json::Value;

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    place: Place,
    what: String,
}

impl Malformed {
    /// This is wrong there.
    pub fn new(place: &Place, what: impl Into<String>) -> Self {
        Self { place: place.clone(), what: what.into() }
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.place.file, self.place.line, self.what)
    }
}

impl std::error::Error for Malformed {}

/// What reading yields.
pub type Read<T> = Result<T, Malformed>;

/// An object, and where it stands.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    value: &'a Value,
    place: &'a Place,
    /// The names that lead to it, each with a dot behind it.
    path: String,
}

impl<'a> Fields<'a> {
    /// The object of a line.
    ///
    /// # Errors
    /// Where it is another value.
    pub fn of_line(value: &'a Value, place: &'a Place) -> Read<Self> {
        Self::at(value, place, String::new())
    }

    fn at(value: &'a Value, place: &'a Place, path: String) -> Read<Self> {
        if value.is_object() {
            return Ok(Self { value, place, path });
        }
        let what = if path.is_empty() { "the line" } else { path.trim_end_matches('.') };
        Err(Malformed::new(place, format!("{what} must be an object, not {}", kind(value))))
    }

    /// Whether there is a field of this name with a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    fn needed(&self, name: &str) -> Read<&'a Value> {
        let missing = || Malformed::new(self.place, format!("{}{name} is missing", self.path));
        self.get(name).ok_or_else(missing)
    }

    #[cold]
    fn wrong(&self, name: &str, wanted: &str, found: &Value) -> Malformed {
        let (path, found) = (&self.path, kind(found));
        Malformed::new(self.place, format!("{path}{name} must be {wanted}, not {found}"))
    }

    /// A number that is not negative.
    ///
    /// # Errors
    /// Where it is missing, or something else.
    pub fn number(&self, name: &str) -> Read<f64> {
        let value = self.needed(name)?;
        let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| self.wrong(name, "a number from 0", value))
    }

    /// The same, if it is there.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn maybe_number(&self, name: &str) -> Read<Option<f64>> {
        self.has(name).then(|| self.number(name)).transpose()
    }

    /// A text.
    ///
    /// # Errors
    /// Where it is missing, or something else.
    pub fn text(&self, name: &str) -> Read<String> {
        let value = self.needed(name)?;
        value.as_str().map(str::to_owned).ok_or_else(|| self.wrong(name, "a string", value))
    }

    /// What is there, as a text: a number, too, or texts with commas between them; empty without.
    ///
    /// # Errors
    /// Where it is an object.
    pub fn shown(&self, name: &str) -> Read<String> {
        self.joined(name, ", ")
    }

    /// The same with something else between texts.
    ///
    /// # Errors
    /// Where it is an object.
    pub fn joined(&self, name: &str, between: &str) -> Read<String> {
        let Some(value) = self.get(name) else { return Ok(String::new()) };
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            Value::Array(each) if each.iter().all(Value::is_string) => {
                let each: Vec<&str> = each.iter().filter_map(Value::as_str).collect();
                Ok(each.join(between))
            }
            _ => Err(self.wrong(name, "a text", value)),
        }
    }

    /// Yes or no; no without.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn flag(&self, name: &str) -> Read<bool> {
        let Some(value) = self.get(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.wrong(name, "true or false", value))
    }

    /// An object.
    ///
    /// # Errors
    /// Where it is missing, or something else.
    pub fn object(&self, name: &str) -> Read<Self> {
        Self::at(self.needed(name)?, self.place, format!("{}{name}.", self.path))
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn maybe_object(&self, name: &str) -> Read<Option<Self>> {
        self.has(name).then(|| self.object(name)).transpose()
    }

    /// The objects of a list; none without.
    ///
    /// # Errors
    /// Where it is something else, or one of them is.
    pub fn objects(&self, name: &str) -> Read<Vec<Self>> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let each = value.as_array().ok_or_else(|| self.wrong(name, "a list", value))?;
        let at = |(index, one)| Self::at(one, self.place, format!("{}{name}[{index}].", self.path));
        each.iter().enumerate().map(at).collect()
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number like this",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
