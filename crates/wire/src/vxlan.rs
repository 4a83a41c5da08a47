//! The VXLAN header (RFC 7348 §5).
//!
//! ```text
//!  0               1               2               3
//! |R|R|R|R|I|R|R|R|            reserved (24)                      |
//! |              VNI (24)                         | reserved (8)  |
//! ```

use vxscope_units::Vni;

use crate::reject::Reject;

/// Bytes of the header.
pub(crate) const HEADER_LEN: usize = 8;
/// The flag which says that the VNI is valid.
const FLAG_I: u8 = 0x08;

/// What a VXLAN header says, and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vxlan<'a> {
    pub(crate) vni: Vni,
    /// A reserved bit was set: extensions (group policy, GPE) that we decode as plain VXLAN, as
    /// the RFC asks of receivers.
    pub(crate) reserved_bits: bool,
    pub(crate) frame: &'a [u8],
}

/// Splits off the header.
#[inline(always)]
pub(crate) fn parse(payload: &[u8]) -> Result<Vxlan<'_>, Reject> {
    let Some((header, frame)) = payload.split_first_chunk::<HEADER_LEN>() else {
        return Err(Reject::VxlanTruncated);
    };
    let [flags, r1, r2, r3, vni @ .., r4] = *header;
    if flags & FLAG_I == 0 {
        return Err(Reject::VxlanNoVni);
    }
    let reserved_bits = (flags & !FLAG_I) | r1 | r2 | r3 | r4 != 0;
    Ok(Vxlan {
        vni: Vni::from_bytes(vni),
        reserved_bits,
        frame,
    })
}

#[cfg(test)]
mod tests {
    use super::{Vxlan, parse};
    use crate::reject::Reject;

    #[test]
    fn reserved_bits_are_decoded_and_flagged() {
        check([0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0], Ok((0x12_3456, false)));
        check([0x0c, 0, 0, 0, 0, 0, 1, 0], Ok((1, true)));
        check(
            [0x88, 0x48, 0, 9, 0x2d, 0xc6, 0xc1, 0],
            Ok((3_000_001, true)),
        );
        check([0x08, 0, 0, 0, 0xff, 0xff, 0xff, 1], Ok((0xff_ffff, true)));
    }

    #[test]
    fn a_header_without_the_i_flag_has_no_vni() {
        check([0x00, 0, 0, 0, 0, 0, 1, 0], Err(Reject::VxlanNoVni));
        check([0xf7, 0, 0, 0, 0, 0, 1, 0], Err(Reject::VxlanNoVni));
    }

    #[test]
    fn fewer_than_eight_bytes_are_truncated() {
        for length in 0..8 {
            assert_eq!(parse(&[0x08; 8][..length]), Err(Reject::VxlanTruncated));
        }
    }

    fn check(header: [u8; 8], expected: Result<(u32, bool), Reject>) {
        let got = parse(&header).map(
            |Vxlan {
                 vni, reserved_bits, ..
             }| (vni.get(), reserved_bits),
        );
        assert_eq!(got, expected, "{header:02x?}");
    }
}
