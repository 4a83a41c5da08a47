//! The GENEVE header and its options (RFC 8926 §3.4 and §3.5).
//!
//! ```text
//!  0               1               2               3
//! |Ver| Opt Len   |O|C|  reserved |         protocol type         |
//! |              VNI (24)                         | reserved (8)  |
//! |         option class          |C|   type      |R|R|R| length  | ...
//! ```

use vxscope_units::Vni;

use crate::reject::Reject;

/// Bytes of the fixed header.
const HEADER_LEN: usize = 8;
/// Control packet: not data.
const FLAG_O: u8 = 0x80;
/// Critical options present.
const FLAG_C: u8 = 0x40;
/// An option that must be understood.
const TYPE_CRITICAL: u8 = 0x80;
/// AWS Gateway Load Balancer: endpoint id (1), attachment id (2), flow cookie (3).
const CLASS_AWS: u16 = 0x0108;

/// What a GENEVE header says, and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geneve<'a> {
    pub(crate) vni: Vni,
    /// `EtherType` of what is carried.
    pub(crate) protocol: u16,
    /// Bytes of header and options.
    pub(crate) header_len: usize,
    pub(crate) payload: &'a [u8],
}

/// Splits off the header with its options.
pub(crate) fn parse(payload: &[u8]) -> Result<Geneve<'_>, Reject> {
    let Some((header, rest)) = payload.split_first_chunk::<HEADER_LEN>() else {
        return Err(Reject::GeneveTruncated);
    };
    let [first, flags, protocol @ .., v1, v2, v3, _] = *header;
    if first >> 6 != 0 {
        return Err(Reject::GeneveVersion);
    }
    let options_len = usize::from(first & 0x3f) * 4;
    let Some((options, payload)) = rest.split_at_checked(options_len) else {
        return Err(Reject::GeneveTruncated);
    };
    if flags & FLAG_O != 0 || (flags & FLAG_C != 0 && !critical_options_known(options)) {
        return Err(Reject::GeneveCritical);
    }
    Ok(Geneve {
        vni: Vni::from_bytes([v1, v2, v3]),
        protocol: u16::from_be_bytes(protocol),
        header_len: HEADER_LEN + options_len,
        payload,
    })
}

/// Whether each critical option is one of ours. An option that overruns the header is unknown.
/// At most 63 options fit, so the walk is bounded.
fn critical_options_known(mut options: &[u8]) -> bool {
    while !options.is_empty() {
        let Some((option, rest)) = options.split_first_chunk::<4>() else {
            return false;
        };
        let [class @ .., kind, length] = *option;
        let known =
            u16::from_be_bytes(class) == CLASS_AWS && matches!(kind & !TYPE_CRITICAL, 1..=3);
        if kind & TYPE_CRITICAL != 0 && !known {
            return false;
        }
        let Some((_, rest)) = rest.split_at_checked(usize::from(length & 0x1f) * 4) else {
            return false;
        };
        options = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::build::geneve;
    use crate::reject::Reject;

    const AWS: [u8; 32] = [
        0x01, 0x08, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, //
        0x01, 0x08, 2, 2, 1, 2, 3, 4, 5, 6, 7, 8, //
        0x01, 0x08, 3, 1, 1, 2, 3, 4,
    ];

    #[test]
    fn options_are_skipped() {
        let payload = geneve(0, 0x6558, 0xabcdef, &AWS, b"frame");
        let parsed = parse(&payload).unwrap();
        assert_eq!((parsed.vni.get(), parsed.protocol), (0xabcdef, 0x6558));
        assert_eq!((parsed.header_len, parsed.payload), (40, &b"frame"[..]));
    }

    #[test]
    fn critical_options_of_the_load_balancer_are_known() {
        let mut critical = AWS;
        for at in [2, 14, 26] {
            critical[at] |= 0x80;
        }
        check(0x40, &critical, None);
        critical[26] = 0x84;
        check(0x40, &critical, Some(Reject::GeneveCritical));
        check(0x00, &critical, None);
    }

    #[test]
    fn control_packets_and_foreign_critical_options_are_refused() {
        check(0x80, &[], Some(Reject::GeneveCritical));
        check(0x40, &[0xff, 0xff, 0x81, 0], Some(Reject::GeneveCritical));
        check(0x40, &[0xff, 0xff, 0x01, 0], None);
        check(0x40, &[0xff, 0xff, 0x01, 1], Some(Reject::GeneveCritical));
    }

    #[test]
    fn version_and_length_are_checked() {
        let mut payload = geneve(0, 0x6558, 1, &AWS, b"");
        for length in 0..payload.len() {
            assert_eq!(
                parse(&payload[..length]),
                Err(Reject::GeneveTruncated),
                "{length}"
            );
        }
        payload[0] |= 0x40;
        assert_eq!(parse(&payload), Err(Reject::GeneveVersion));
    }

    fn check(flags: u8, options: &[u8], expected: Option<Reject>) {
        let payload = geneve(flags, 0x6558, 1, options, b"frame");
        assert_eq!(parse(&payload).err(), expected, "{flags:#x} {options:02x?}");
    }
}
