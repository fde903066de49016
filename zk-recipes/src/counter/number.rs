//! Numbers as bytes, in the encodings of Curator and Kazoo. Pure.

use bytes::Bytes;
use std::fmt;

/// A number with an encoding. Empty data is zero, as Curator and Kazoo take it.
pub trait Number: Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// The bytes of the node.
    fn encode(self) -> Bytes;

    /// The number in these bytes; `None` when it is not one.
    fn decode(bytes: &[u8]) -> Option<Self>;

    /// The sum, if it fits.
    fn checked_add(self, other: Self) -> Option<Self>;

    /// The sum, around the end of the range, as Java's.
    fn wrapping_add(self, other: Self) -> Self;

    /// The number with its sign changed, if that fits.
    fn checked_neg(self) -> Option<Self>;
}

macro_rules! big_endian {
    ($type:ty) => {
        impl Number for $type {
            const ZERO: Self = 0;
            const ONE: Self = 1;

            fn encode(self) -> Bytes {
                Bytes::copy_from_slice(&self.to_be_bytes())
            }

            fn decode(bytes: &[u8]) -> Option<Self> {
                if bytes.is_empty() {
                    return Some(0);
                }
                bytes.try_into().map(Self::from_be_bytes).ok()
            }

            fn checked_add(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }

            fn wrapping_add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn checked_neg(self) -> Option<Self> {
                self.checked_neg()
            }
        }
    };
}
big_endian!(i32);
big_endian!(i64);

/// A number as decimal text, as Kazoo's `Counter` writes it.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Text<T>(pub T);

impl<T> From<T> for Text<T> {
    fn from(number: T) -> Self {
        Self(number)
    }
}

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Number for Text<i64> {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);

    fn encode(self) -> Bytes {
        self.0.to_string().into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.trim();
        if text.is_empty() { Some(Self(0)) } else { text.parse().ok().map(Self) }
    }

    fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    fn wrapping_add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }
}

impl Number for Text<f64> {
    const ZERO: Self = Self(0.0);
    const ONE: Self = Self(1.0);

    /// As Python prints it: `1.5`, `2.0`.
    fn encode(self) -> Bytes {
        format!("{:?}", self.0).into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.trim();
        if text.is_empty() { Some(Self(0.0)) } else { text.parse().ok().map(Self) }
    }

    /// Infinity and not-a-number do not fit.
    fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self(self.0 + other.0)).filter(|sum| sum.0.is_finite())
    }

    fn wrapping_add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    fn checked_neg(self) -> Option<Self> {
        Some(Self(-self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Printed by Curator 5.9 and Kazoo 2.11.
    #[test]
    fn the_bytes_of_the_other_libraries() {
        assert_eq!(&1i64.encode()[..], [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(&(-2i32).encode()[..], [0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(&5i32.encode()[..], [0, 0, 0, 5]);
        assert_eq!(&Text(5i64).encode()[..], b"5");
        assert_eq!(&Text(1.5f64).encode()[..], b"1.5");
        assert_eq!(Text::<f64>::decode(b"1e+16"), Some(Text(1e16)));
    }

    #[test]
    fn what_is_no_number_is_none_and_nothing_is_zero() {
        assert_eq!((i32::decode(b""), i64::decode(b"")), (Some(0), Some(0)));
        assert_eq!(Text::<i64>::decode(b""), Some(Text(0)));
        assert_eq!((i32::decode(b"12345"), i64::decode(b"1234")), (None, None));
        assert_eq!(Text::<i64>::decode(b"1.5"), None);
        assert_eq!(Text::<i64>::decode(b"\xff"), None);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        assert_eq!(Number::checked_add(i64::MAX, 1), None);
        assert_eq!(Number::wrapping_add(i32::MAX, 1), i32::MIN);
        assert_eq!(Number::checked_neg(i32::MIN), None);
        assert_eq!(Text(f64::MAX).checked_add(Text(f64::MAX)), None);
    }

    proptest! {
        #[test]
        fn every_number_comes_back(a: i32, b: i64, c in any::<f64>().prop_filter("a number", |c| c.is_finite())) {
            prop_assert_eq!(i32::decode(&a.encode()), Some(a));
            prop_assert_eq!(i64::decode(&b.encode()), Some(b));
            prop_assert_eq!(Text::<i64>::decode(&Text(b).encode()), Some(Text(b)));
            prop_assert_eq!(Text::<f64>::decode(&Text(c).encode()), Some(Text(c)));
        }
    }
}
