//! Eight tags in one word.

/// A bit, the highest, of each byte that is `tag`.
#[inline]
pub(crate) const fn matching(tags: u64, tag: u8) -> u64 {
    const SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differs = tags ^ (tag as u64).wrapping_mul(0x0101_0101_0101_0101);
    !(((differs & SEVEN) + SEVEN) | differs | SEVEN)
}
