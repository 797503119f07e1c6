//! Keys and values, the same ones as `Inputs.java` makes.

/// What Java's `SplittableRandom` yields for a seed.
#[derive(Clone, Debug)]
pub struct JavaRandom(u64);

impl JavaRandom {
    /// Begins.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next_seed(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0
    }

    /// `nextInt()`.
    pub const fn int(&mut self) -> u32 {
        let mut z = self.next_seed();
        z = (z ^ (z >> 33)).wrapping_mul(0x62a9_d9ed_7997_05f5);
        z = (z ^ (z >> 28)).wrapping_mul(0xcb24_d0a5_c88c_35b3);
        let [first, second, third, fourth, ..] = z.to_be_bytes();
        u32::from_be_bytes([first, second, third, fourth])
    }

    /// `nextInt(bound)`, of a bound between 1 and 2^31.
    pub fn below(&mut self, bound: u32) -> u32 {
        let mut drawn = self.int();
        if bound.is_power_of_two() {
            return drawn & (bound - 1);
        }
        loop {
            let half = drawn >> 1;
            let result = half % bound;
            // what Java finds by an overflow: the last, incomplete run of the bound is drawn again
            if u64::from(half - result) + u64::from(bound - 1) < 1 << 31 {
                return result;
            }
            drawn = self.int();
        }
    }

    /// `nextDouble()`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are left")]
    pub const fn double(&mut self) -> f64 {
        let mut z = self.next_seed();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn bounded(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The numbers from `from` on, so many, in random order.
pub fn shuffled(from: u64, count: u64, seed: u64) -> Vec<u64> {
    let mut keys: Vec<u64> = (from..from + count).collect();
    let mut random = JavaRandom::new(seed);
    for at in (1..keys.len()).rev() {
        let other = random.below(bounded(at).saturating_add(1));
        keys.swap(at, other as usize);
    }
    keys
}

/// So many numbers below a bound, each equally likely.
pub fn uniform(bound: u64, count: usize, seed: u64) -> Vec<u64> {
    let mut random = JavaRandom::new(seed);
    let bound = u32::try_from(bound).unwrap_or(u32::MAX);
    (0..count).map(|_| u64::from(random.below(bound))).collect()
}

/// So many numbers below a bound, of which the one of rank k is drawn in proportion to 1/k^s.
pub fn zipf(bound: u64, s: f64, count: usize, seed: u64) -> Vec<u64> {
    let mut total = 0.0;
    let cumulative: Vec<f64> = (1..=bound)
        .map(|rank| {
            total += crate::float(rank).powf(-s);
            total
        })
        .collect();
    let keys = shuffled(0, bound, seed + 1);
    let mut random = JavaRandom::new(seed);
    let draw = |_| {
        let drawn = random.double() * total;
        let rank = cumulative.partition_point(|weight| *weight < drawn);
        keys.get(rank).or(keys.last()).copied().unwrap_or(0)
    };
    (0..count).map(draw).collect()
}

/// So many values of so many random bytes.
pub fn pool(count: usize, length: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut random = JavaRandom::new(seed);
    let mut value = || (0..length).map(|_| random.int().to_le_bytes()[0]).collect();
    (0..count).map(|_| value()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java 17 printed.
    #[test]
    fn numbers_are_those_of_java() {
        let mut random = JavaRandom::new(1);
        let drawn: Vec<u32> = (0..6).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, [926, 302, 881, 737, 211, 132]);
        let mut random = JavaRandom::new(6);
        assert_eq!(
            [random.double(), random.double()].map(f64::to_bits),
            [0x3fe7_ac94_bb35_bdfc, 0x3fdc_9067_6c8e_5476]
        );
        assert_eq!(shuffled(0, 10, 1), [9, 0, 4, 1, 7, 8, 5, 2, 3, 6]);
        let pool = pool(2, 3, 4);
        assert_eq!(pool, [[22, 181, 190], [32, 242, 21]]);
    }
}
