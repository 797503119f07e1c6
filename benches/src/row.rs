//! A row: what was measured, and the bar that it is held against.

use std::fmt;

/// What a row has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// The median must be at least the first; the second is where we are going.
    AtLeast(f64, f64),
    /// The median must be at most the first; the second is where we are going.
    AtMost(f64, f64),
    /// The worst must be below the first; the second is where we are going.
    WorstBelow(f64, f64),
    /// There is no bar: the row is information.
    None,
}

impl Bar {
    /// As [`Row::sense`].
    const fn sense(self) -> Option<&'static str> {
        match self {
            Self::AtLeast(..) => Some("at-least"),
            Self::AtMost(..) => Some("at-most"),
            Self::WorstBelow(..) => Some("worst-below"),
            Self::None => None,
        }
    }
}

/// One line of results.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The row's name.
    pub name: String,
    /// What the numbers are: `x` for ratios, otherwise a unit.
    pub unit: &'static str,
    /// The median round.
    pub median: f64,
    /// The lowest round.
    pub min: f64,
    /// The highest round.
    pub max: f64,
    /// What it has to reach.
    pub bar: Option<f64>,
    /// Where we are going.
    pub goal: Option<f64>,
    /// How the bar is meant, as its JSON has it: `at-least`, `at-most` or `worst-below`; none without a bar.
    pub sense: Option<&'static str>,
    /// Whether it reaches the bar.
    pub ok: bool,
    /// Whether it reaches the goal.
    pub at_goal: bool,
}

impl Row {
    /// A row over these rounds.
    pub fn new(
        name: impl Into<String>,
        unit: &'static str,
        bar: Bar,
        mut rounds: Vec<f64>,
    ) -> Self {
        rounds.sort_by(f64::total_cmp);
        let at = |index: usize| rounds.get(index).copied().unwrap_or(f64::NAN);
        let (min, max) = (at(0), at(rounds.len().saturating_sub(1)));
        // of an even number of rounds, what lies between the two in the middle
        let median = f64::midpoint(at(rounds.len().saturating_sub(1) / 2), at(rounds.len() / 2));
        let sense = bar.sense();
        let (bar, goal, ok, at_goal) = match bar {
            Bar::AtLeast(bar, goal) => (Some(bar), Some(goal), median >= bar, median >= goal),
            Bar::AtMost(bar, goal) => (Some(bar), Some(goal), median <= bar, median <= goal),
            Bar::WorstBelow(bar, goal) => (Some(bar), Some(goal), max < bar, max < goal),
            Bar::None => (None, None, true, true),
        };
        Self { name: name.into(), unit, median, min, max, bar, goal, sense, ok, at_goal }
    }

    /// A row without a bar.
    pub fn note(name: impl Into<String>, unit: &'static str, rounds: Vec<f64>) -> Self {
        Self::new(name, unit, Bar::None, rounds)
    }

    /// The row as one JSON object.
    pub fn to_json(&self) -> String {
        let Self { name, unit, median, min, max, bar, goal, sense, ok, .. } = self;
        serde_json::json!({
            "name": name, "unit": unit, "median": median, "min": min, "max": max,
            "bar": bar, "goal": goal, "sense": sense, "ok": ok,
        })
        .to_string()
    }

    /// The heading over rows that are printed with `Display`.
    pub fn heading() -> String {
        format!(
            "{:<38} {:>10} {:>10} {:>10} {:<8} {:>7} {:>7}",
            "row", "median", "min", "max", "unit", "bar", "goal"
        )
    }
}

/// So many digits that three of them matter.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, min, max] = [self.median, self.min, self.max].map(digits);
        let or_dash = |bound: Option<f64>| bound.map_or_else(|| "-".to_owned(), |b| b.to_string());
        let (bar, goal) = (or_dash(self.bar), or_dash(self.goal));
        let verdict = match (self.bar, self.ok, self.at_goal) {
            (None, ..) => "",
            (_, false, _) => "FALLS SHORT",
            (_, true, false) => "ok",
            (_, true, true) => "ok, goal",
        };
        let Self { name, unit, .. } = self;
        write!(
            f,
            "{name:<38} {median:>10} {min:>10} {max:>10} {unit:<8} {bar:>7} {goal:>7}  {verdict}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_judged_by_its_median_or_by_its_worst() {
        let rounds = vec![3.0, 1.0, 2.0];
        assert!(Row::new("a", "x", Bar::AtLeast(2.0, 3.0), rounds.clone()).ok);
        assert!(!Row::new("a", "x", Bar::AtLeast(2.1, 3.0), rounds.clone()).ok);
        assert!(Row::new("a", "x", Bar::AtMost(2.0, 1.0), rounds.clone()).ok);
        assert!(!Row::new("a", "ms", Bar::WorstBelow(3.0, 1.0), rounds.clone()).ok);
        assert_eq!(
            Row::note("a", "x", vec![1.0, 4.0, 2.0, 3.0]).to_string().split_whitespace().nth(1),
            Some("2.500")
        );
        let row = Row::note("a", "x", rounds);
        let json = r#"{"bar":null,"goal":null,"max":3.0,"median":2.0,"min":1.0,"name":"a","ok":true,"sense":null,"unit":"x"}"#;
        let read: serde_json::Value = serde_json::from_str(&row.to_json()).unwrap();
        assert_eq!(read, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }

    #[test]
    fn no_rounds_reach_no_bar() {
        assert!(!Row::new("a", "x", Bar::AtLeast(0.0, 0.0), Vec::new()).ok);
        assert!(!Row::new("a", "x", Bar::AtMost(9.0, 9.0), Vec::new()).ok);
    }
}
