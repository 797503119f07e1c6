//! [`Scale`]: from values to places on a plot, and the values that an axis names.

/// The most steps that a linear axis has.
const MOST_STEPS: f64 = 6.0;
/// Steps of an axis are these times a power of ten.
const NICE: [f64; 3] = [1.0, 2.0, 5.0];

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// From 0 to at least the highest of these, over the places `from` to `to`.
    pub fn linear(values: impl IntoIterator<Item = f64>, (from, to): (f64, f64)) -> Self {
        let highest = values.into_iter().filter(|value| value.is_finite()).fold(0.0, f64::max);
        let high = if highest > 0.0 { highest } else { 1.0 };
        let step = step(high);
        Self { logarithmic: false, low: 0.0, high: (high / step).ceil() * step, from, to }
    }

    /// From at most the lowest of these that is above 0 to at least the highest.
    pub fn logarithmic(values: impl IntoIterator<Item = f64>, (from, to): (f64, f64)) -> Self {
        let fits = |value: &f64| value.is_finite() && *value > 0.0;
        let start = (f64::INFINITY, 0.0_f64);
        let (mut low, mut high) = values
            .into_iter()
            .filter(fits)
            .fold(start, |(low, high), value| (low.min(value), high.max(value)));
        if high <= 0.0 {
            (low, high) = (1.0, 10.0);
        }
        (low, high) = (nice_below(low), nice_above(high));
        if low >= high {
            high = low * 10.0;
        }
        Self { logarithmic: true, low, high, from, to }
    }

    /// Where a value lies; what is outside lies at the end.
    pub fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    /// The values that the axis names, upwards.
    pub fn ticks(&self) -> Vec<f64> {
        let mut ticks = Vec::new();
        if !self.logarithmic {
            let step = step(self.high);
            let mut number = 0.0;
            while number * step <= self.high * 1.000_001 {
                ticks.push(number * step);
                number += 1.0;
            }
            return ticks;
        }
        let decades = (self.high / self.low).log10();
        let mut power = 10_f64.powf(self.low.log10().floor());
        while power <= self.high * 1.000_001 {
            for nice in NICE {
                let tick = nice * power;
                let inside = tick >= self.low * 0.999_999 && tick <= self.high * 1.000_001;
                if inside && (nice < 1.5 || decades <= 2.5) {
                    ticks.push(tick);
                }
            }
            power *= 10.0;
        }
        ticks
    }
}

fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high / MOST_STEPS).log10().floor());
    let fits = NICE.iter().map(|nice| nice * power).find(|step| high / step <= MOST_STEPS);
    fits.unwrap_or(10.0 * power)
}

fn nice_below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let below = NICE.iter().rev().map(|nice| nice * power).find(|nice| *nice <= value * 1.000_001);
    below.unwrap_or(power)
}

fn nice_above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let above = NICE.iter().map(|nice| nice * power).find(|nice| *nice >= value * 0.999_999);
    above.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers_and_hold_all_values() {
        let linear = Scale::linear([3.0, 47.0], (0.0, 100.0));
        assert_eq!(linear.ticks(), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        let shown = |places: &[f64]| format!("{places:.1?}");
        assert_eq!(shown(&[linear.at(25.0), linear.at(99.0)]), "[50.0, 100.0]");
        let log = Scale::logarithmic([3.0, 0.0, 470.0], (0.0, 100.0));
        assert_eq!(log.ticks(), [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);
        assert_eq!(shown(&[log.at(2.0), log.at(500.0), log.at(0.0)]), "[0.0, 100.0, 0.0]");
        let wide = Scale::logarithmic([1.0, 1e6], (0.0, 1.0));
        assert_eq!(wide.ticks(), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
    }

    #[test]
    fn axes_without_values_are_axes() {
        assert_eq!(Scale::logarithmic([], (0.0, 1.0)).ticks(), [1.0, 2.0, 5.0, 10.0]);
        assert!(Scale::linear([f64::NAN, 0.0], (0.0, 1.0)).ticks().len() > 1);
        assert!(Scale::logarithmic([7.0], (0.0, 1.0)).at(7.0).is_finite());
    }
}
