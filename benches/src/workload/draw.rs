//! Which keys are accessed how often: evenly, by Zipf's law, or a set of hot ones that moves.
//!
//! Key number `rank` is spread by [`key`], so that hot keys lie nowhere near one another.

use std::convert::Infallible;

use rand_distr::{Distribution as _, Zipf};

use crate::Outcome;
use crate::keys::{Uniform, key, mix};

/// A pattern of accesses over a number of keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// Every key equally often.
    Uniform,
    /// The key of rank r with a frequency in proportion to r to the power of minus this exponent.
    Zipf(f64),
    /// Most accesses go to a few keys that follow one another, and which these are moves on.
    Moving {
        /// How many keys are hot at a time.
        hot: u64,
        /// How many of a hundred accesses go to them.
        percent: u64,
        /// After how many accesses one hot key is replaced by the next.
        step: u64,
    },
}

impl Pattern {
    /// Its name, for tables: `uniform`, `zipf-0.99`, `moving-1000`.
    pub fn name(self) -> String {
        match self {
            Self::Uniform => "uniform".to_owned(),
            Self::Zipf(exponent) => format!("zipf-{exponent}"),
            Self::Moving { hot, .. } => format!("moving-{hot}"),
        }
    }

    /// Keys drawn from `keys` keys.
    ///
    /// # Errors
    /// Where there are no keys, or the exponent is no positive number.
    pub fn draw(self, keys: u64, seed: u64) -> Outcome<Draw> {
        if keys == 0 {
            return Err("a workload needs at least one key".into());
        }
        let ranks = match self {
            Self::Uniform | Self::Moving { .. } => None,
            Self::Zipf(exponent) if exponent > 0.0 => {
                Some(Zipf::new(crate::float(keys), exponent)?)
            }
            Self::Zipf(exponent) => {
                return Err(
                    format!("{exponent} is no exponent of Zipf's law: it must be above 0").into()
                );
            }
        };
        let words = Words(mix(seed));
        Ok(Draw { pattern: self, keys, ranks, words, evenly: Uniform::new(keys, seed), drawn: 0 })
    }
}

/// 64-bit words for the distribution, which repeat with the seed on every machine and in every version.
#[derive(Clone, Debug)]
struct Words(u64);

impl Words {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

impl rand_core::TryRng for Words {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::try_from(self.next() >> 32).unwrap_or_default())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or_default());
        }
        Ok(())
    }
}

/// Keys, one after the other, without end.
#[derive(Clone, Debug)]
pub struct Draw {
    pattern: Pattern,
    keys: u64,
    ranks: Option<Zipf<f64>>,
    words: Words,
    evenly: Uniform,
    drawn: u64,
}

impl Draw {
    /// The next key's rank, below the number of keys.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are whole numbers from 1 to the number of keys"
    )]
    fn rank(&mut self) -> u64 {
        let evenly = self.evenly.next().unwrap_or(0);
        if let Some(zipf) = &self.ranks {
            let rank = zipf.sample(&mut self.words) as u64;
            return rank.saturating_sub(1).min(self.keys.saturating_sub(1));
        }
        let Pattern::Moving { hot, percent, step } = self.pattern else {
            return evenly;
        };
        let first = self.drawn / step.max(1);
        self.drawn = self.drawn.wrapping_add(1);
        if self.words.next() % 100 < percent {
            first.wrapping_add(self.words.next() % hot.clamp(1, self.keys)) % self.keys
        } else {
            evenly
        }
    }
}

impl Iterator for Draw {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(key(self.rank()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn counts(pattern: Pattern, keys: u64, draws: usize) -> Vec<u64> {
        let mut counts = HashMap::new();
        for key in pattern.draw(keys, 7).unwrap().take(draws) {
            *counts.entry(key).or_insert(0u64) += 1;
        }
        (0..keys).map(|rank| counts.get(&key(rank)).copied().unwrap_or(0)).collect()
    }

    #[test]
    fn even_draws_are_even() {
        let counts = counts(Pattern::Uniform, 100, 100_000);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn zipf_follows_its_law() {
        for exponent in [0.8, 0.99, 1.2] {
            let counts = counts(Pattern::Zipf(exponent), 1_000, 1_000_000);
            let sum: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-exponent)).sum();
            for rank in [1u32, 2, 10, 100] {
                let wanted = 1e6 * f64::from(rank).powf(-exponent) / sum;
                let found = crate::float(counts[rank as usize - 1]);
                assert!(
                    (found / wanted - 1.0).abs() < 0.12,
                    "{exponent}: {rank}: {found} {wanted}"
                );
            }
        }
    }

    #[test]
    fn hot_keys_move() {
        let pattern = Pattern::Moving { hot: 10, percent: 90, step: 100 };
        let mut draw = pattern.draw(1_000, 3).unwrap();
        let hot = |from: u64| (from..from + 10).map(key).collect::<Vec<_>>();
        let hits =
            |draw: &mut Draw, hot: &[u64]| draw.take(100).filter(|key| hot.contains(key)).count();
        assert!(hits(&mut draw, &hot(0)) > 80);
        assert!(hits(&mut draw, &hot(1)) > 80);
        draw.by_ref().take(50 * 100).for_each(drop);
        assert!(hits(&mut draw, &hot(0)) < 20);
    }

    #[test]
    fn draws_repeat_and_wrong_ones_are_refused() {
        for pattern in [Pattern::Uniform, Pattern::Zipf(0.99)] {
            let draw = |seed| pattern.draw(1_000, seed).unwrap().take(50).collect::<Vec<_>>();
            assert_eq!(draw(1), draw(1));
            assert_ne!(draw(1), draw(2));
        }
        assert!(Pattern::Uniform.draw(0, 1).is_err());
        for exponent in [0.0, -1.0, f64::NAN] {
            assert!(Pattern::Zipf(exponent).draw(10, 1).is_err(), "{exponent}");
        }
    }
}
