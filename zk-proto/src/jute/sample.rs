//! Random values of every record, for the round-trip tests: one seed from proptest becomes one value.

use bytes::Bytes;

/// A small deterministic generator (SplitMix64); tests need variety, not quality.
pub(crate) struct Gen(pub(crate) u64);

impl Gen {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// A value drawn from a generator.
pub(crate) trait Sample: Sized {
    fn sample(g: &mut Gen) -> Self;
}

impl Sample for i32 {
    fn sample(g: &mut Gen) -> Self {
        match g.below(4) {
            0 => [0, -1, Self::MIN, Self::MAX][g.below(4)],
            _ => g.next() as Self,
        }
    }
}

impl Sample for i64 {
    fn sample(g: &mut Gen) -> Self {
        match g.below(4) {
            0 => [0, -1, Self::MIN, Self::MAX][g.below(4)],
            _ => g.next() as Self,
        }
    }
}

impl Sample for bool {
    fn sample(g: &mut Gen) -> Self {
        g.below(2) == 1
    }
}

impl Sample for String {
    fn sample(g: &mut Gen) -> Self {
        const ALPHABET: [&str; 8] = ["/", "a", "lock-", "é", "漢", "", "0000000001", "."];
        (0..g.below(6)).map(|_| ALPHABET[g.below(ALPHABET.len())]).collect()
    }
}

impl Sample for Option<String> {
    fn sample(g: &mut Gen) -> Self {
        (g.below(4) > 0).then(|| String::sample(g))
    }
}

impl Sample for Bytes {
    fn sample(g: &mut Gen) -> Self {
        let len = [0, 1, 7, 300][g.below(4)];
        (0..len).map(|_| g.next() as u8).collect()
    }
}

impl Sample for Option<Bytes> {
    fn sample(g: &mut Gen) -> Self {
        (g.below(4) > 0).then(|| Bytes::sample(g))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(g: &mut Gen) -> Self {
        (0..g.below(4)).map(|_| T::sample(g)).collect()
    }
}
