//! The nearest known key, for the error about an unknown one.

use crate::Error;

/// The error about an unknown key.
#[cold]
pub(super) fn unknown_key(key: &str, known: &[&str]) -> Error {
    let nearest = known.iter().map(|candidate| (distance(key, candidate), *candidate)).min();
    let near_enough = |found: &(usize, &str)| found.0 <= 2.max(key.len() / 4);
    let advice = match nearest.filter(near_enough) {
        Some((_, candidate)) => format!("did you mean {candidate}?"),
        None => "remove it; neither the state backend nor the common settings know it".to_owned(),
    };
    Error::invalid_input(format!("unknown setting {key}; {advice}"))
}

/// How many characters must be inserted, removed or replaced to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}
