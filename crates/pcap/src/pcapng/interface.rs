//! What an interface description block says about the packets of its interface.

use std::num::NonZeroU32;

use vxscope_units::{LinkType, Timestamp};

use super::option;
use crate::bytes::{Fields, index};
use crate::error::PcapError;
use crate::limit::captured_bytes_max;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// One interface of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    pub(super) link: LinkType,
    /// `None`: not limited.
    pub(super) snap_len: Option<NonZeroU32>,
    pub(super) captured_max: u32,
    pub(super) clock: Clock,
}

impl Interface {
    /// `None` if the block is too short for its fixed fields.
    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Option<Self>, PcapError> {
        let (Some(link), Some(_reserved), Some(snap_len)) =
            (fields.u16(), fields.u16(), fields.u32())
        else {
            return Ok(None);
        };
        let link = LinkType::from_number(u32::from(link));
        Ok(Some(Self {
            link,
            snap_len: NonZeroU32::new(snap_len),
            captured_max: captured_bytes_max(link),
            clock: Clock::from_options(fields)?,
        }))
    }
}

/// How an interface counts time: ticks since `offset_seconds` after the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    ticks_per_second: Resolution,
    offset_seconds: i64,
}

/// One second in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// At most 10⁹: a tick is this many nanoseconds.
    Coarse { nanos_per_tick: u64 },
    /// 10¹⁰ to 10¹⁹: a nanosecond is this many ticks.
    Fine { ticks_per_nano: u64 },
    /// 2 to this power.
    Binary { shift: u8 },
}

impl Clock {
    const DEFAULT: Self = Self {
        ticks_per_second: Resolution::Coarse {
            nanos_per_tick: 1_000,
        },
        offset_seconds: 0,
    };

    fn from_options(mut fields: Fields<'_>) -> Result<Self, PcapError> {
        let (mut resolution, mut offset) = (None, None);
        while let Some((code, value)) = next_option(&mut fields)? {
            match code {
                option::INTERFACE_RESOLUTION => {
                    let [byte] = exactly(code, value)?;
                    once(code, &mut resolution, Resolution::parse(byte)?)?;
                }
                option::INTERFACE_OFFSET => {
                    let seconds = fields.order.i64(exactly(code, value)?);
                    once(code, &mut offset, seconds)?;
                }
                _ => {}
            }
        }
        Ok(Self {
            ticks_per_second: resolution.unwrap_or(Self::DEFAULT.ticks_per_second),
            offset_seconds: offset.unwrap_or(0),
        })
    }

    /// Saturates at the epoch and in the year 2554.
    pub(super) fn timestamp(self, ticks: u64) -> Timestamp {
        let nanos = match self.ticks_per_second {
            Resolution::Coarse { nanos_per_tick } => ticks.saturating_mul(nanos_per_tick),
            Resolution::Fine { ticks_per_nano } => ticks / ticks_per_nano,
            Resolution::Binary { shift } => {
                let wide = (u128::from(ticks) * u128::from(NANOS_PER_SECOND)) >> shift;
                u64::try_from(wide).unwrap_or(u64::MAX)
            }
        };
        let offset = self
            .offset_seconds
            .unsigned_abs()
            .saturating_mul(NANOS_PER_SECOND);
        Timestamp::from_nanos(if self.offset_seconds < 0 {
            nanos.saturating_sub(offset)
        } else {
            nanos.saturating_add(offset)
        })
    }
}

impl Resolution {
    const DECIMAL_MAX: u8 = 19;
    const BINARY_MAX: u8 = 63;

    /// The value of option `if_tsresol`.
    fn parse(byte: u8) -> Result<Self, PcapError> {
        let exponent = byte & 0x7f;
        let (base, expected) = if byte & 0x80 == 0 {
            (10, Self::DECIMAL_MAX)
        } else {
            (2, Self::BINARY_MAX)
        };
        if exponent > expected {
            return Err(PcapError::TimeResolution {
                base,
                expected,
                actual: exponent,
            });
        }
        Ok(match (base, exponent) {
            (2, shift) => Self::Binary { shift },
            (_, 0..=9) => Self::Coarse {
                nanos_per_tick: 10u64.pow(u32::from(9 - exponent)),
            },
            _ => Self::Fine {
                ticks_per_nano: 10u64.pow(u32::from(exponent - 9)),
            },
        })
    }
}

/// The next option, `None` after the last.
fn next_option<'a>(fields: &mut Fields<'a>) -> Result<Option<(u16, &'a [u8])>, PcapError> {
    if fields.rest.is_empty() {
        return Ok(None);
    }
    // Blocks and options are padded to 4 bytes, so what is left holds at least a header.
    let (Some(code), Some(length)) = (fields.u16(), fields.u16()) else {
        return Err(PcapError::OptionLength {
            code: 0,
            expected: 4,
            actual: fields.rest.len(),
        });
    };
    if code == option::END {
        return match length {
            0 => Ok(None),
            _ => Err(PcapError::OptionLength {
                code,
                expected: 0,
                actual: usize::from(length),
            }),
        };
    }
    let room = fields.rest.len();
    let padded = fields.take(index(u32::from(length).next_multiple_of(4)));
    let value = padded.and_then(|padded| padded.get(..usize::from(length)));
    let beyond = PcapError::OptionLength {
        code,
        expected: room,
        actual: usize::from(length),
    };
    value.map(|value| Some((code, value))).ok_or(beyond)
}

fn exactly<const N: usize>(code: u16, value: &[u8]) -> Result<[u8; N], PcapError> {
    let wrong = PcapError::OptionLength {
        code,
        expected: N,
        actual: value.len(),
    };
    <[u8; N]>::try_from(value).map_err(|_| wrong)
}

fn once<T>(code: u16, slot: &mut Option<T>, value: T) -> Result<(), PcapError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(PcapError::OptionRepeated { code }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Resolution};
    use crate::error::PcapError;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn every_resolution_gives_the_same_moment() {
        check(0, 7, 7 * SECOND);
        check(3, 7_250, 7 * SECOND + SECOND / 4);
        check(6, 7_250_000, 7 * SECOND + SECOND / 4);
        check(9, 7_250_000_001, 7 * SECOND + SECOND / 4 + 1);
        check(12, 7_250_000_001_999, 7 * SECOND + SECOND / 4 + 1);
        check(
            19,
            17_250_000_000_000_000_000,
            SECOND + SECOND * 725 / 1_000,
        );
        check(0x80, 7, 7 * SECOND);
        check(0x80 | 10, 7 * 1_024 + 256, 7 * SECOND + SECOND / 4);
        check(0x80 | 32, (7 << 32) + (1 << 30), 7 * SECOND + SECOND / 4);
        check(0x80 | 63, (1 << 63) + (1 << 61), SECOND + SECOND / 4);
    }

    #[test]
    fn resolutions_that_64_bits_cannot_count_are_refused() {
        let decimal = PcapError::TimeResolution {
            base: 10,
            expected: 19,
            actual: 20,
        };
        assert_eq!(Resolution::parse(20), Err(decimal));
        let binary = PcapError::TimeResolution {
            base: 2,
            expected: 63,
            actual: 64,
        };
        assert_eq!(Resolution::parse(0x80 | 64), Err(binary));
    }

    #[test]
    fn offsets_shift_and_saturate() {
        for (offset_seconds, ticks, nanos) in [
            (1, 5, SECOND + 5_000),
            (-1, 1_000_005, 5_000),
            (-2, 5, 0),
            (i64::MIN, 5, 0),
            (i64::MAX, 5, u64::MAX),
        ] {
            let clock = Clock {
                offset_seconds,
                ..Clock::DEFAULT
            };
            assert_eq!(
                clock.timestamp(ticks).as_nanos(),
                nanos,
                "{offset_seconds} {ticks}"
            );
        }
        assert_eq!(Clock::DEFAULT.timestamp(u64::MAX).as_nanos(), u64::MAX);
    }

    fn check(option: u8, ticks: u64, nanos: u64) {
        let ticks_per_second = Resolution::parse(option).unwrap();
        let clock = Clock {
            ticks_per_second,
            offset_seconds: 0,
        };
        assert_eq!(
            clock.timestamp(ticks).as_nanos(),
            nanos,
            "if_tsresol {option:#x}"
        );
    }
}
