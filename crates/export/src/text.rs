//! Numbers, times and addresses as text, appended to a byte buffer without allocation.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vxscope_units::Timestamp;

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The text as it stands.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// The number in decimal.
pub(crate) fn push_u64(out: &mut Vec<u8>, value: u64) {
    push_padded(out, value, 1);
}

/// The number in decimal, with leading zeros up to `width` digits (at most 20).
pub(crate) fn push_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut rest = value;
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        if rest == 0 && length >= width {
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        length += 1;
    }
    let (_, used) = digits.split_at(digits.len() - length);
    out.extend_from_slice(used);
}

/// Two hexadecimal digits.
pub(crate) fn push_hex(out: &mut Vec<u8>, byte: u8) {
    out.extend([byte >> 4, byte & 15].map(|nibble| HEX_DIGITS[usize::from(nibble)]));
}

/// `2026-11-21T02:00:00.000000+0000`, as Suricata writes it. In one piece: three of them are a
/// quarter of an EVE record.
pub(crate) fn push_time(out: &mut Vec<u8>, time: Timestamp) {
    let (year, month, day, hour, minute, second) = time.civil();
    let micros = u64::from(time.subsec_micros());
    let ([y0, y1], [y2, y3]) = (pair(year / 100), pair(year));
    let ([m0, m1], [d0, d1]) = (pair(month), pair(day));
    let ([h0, h1], [n0, n1], [s0, s1]) = (pair(hour), pair(minute), pair(second));
    let ([u0, u1], [u2, u3], [u4, u5]) = (pair(micros / 10_000), pair(micros / 100), pair(micros));
    out.extend_from_slice(&[
        y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.',
        u0, u1, u2, u3, u4, u5, b'+', b'0', b'0', b'0', b'0',
    ]);
}

/// The last two decimal digits.
fn pair(value: u64) -> [u8; 2] {
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

/// `2026-11-21-02-00-00`, as Zeek writes it in `#open` and `#close`.
pub(crate) fn push_log_time(out: &mut Vec<u8>, time: Timestamp) {
    let (year, month, day, hour, minute, second) = time.civil();
    push_padded(out, year, 4);
    for part in [month, day, hour, minute, second] {
        out.push(b'-');
        push_padded(out, part, 2);
    }
}

/// Microseconds as seconds with six decimals.
pub(crate) fn push_micros(out: &mut Vec<u8>, micros: u64) {
    push_u64(out, micros / 1_000_000);
    out.push(b'.');
    push_padded(out, micros % 1_000_000, 6);
}

/// Dotted quads, or IPv6 as in RFC 5952 (`2001:db8::1`).
pub(crate) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => push_ipv4(out, address),
        IpAddr::V6(address) => {
            write!(out, "{address}").expect("writing to a vector cannot fail");
        }
    }
}

/// As [`push_address`], but IPv6 with all its zeros (`2001:0db8:0000:…`), as Suricata writes it.
pub(crate) fn push_address_full(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => push_ipv4(out, address),
        IpAddr::V6(address) => push_ipv6_full(out, address),
    }
}

fn push_ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let [first, rest @ ..] = address.octets();
    push_u64(out, u64::from(first));
    for octet in rest {
        out.push(b'.');
        push_u64(out, u64::from(octet));
    }
}

fn push_ipv6_full(out: &mut Vec<u8>, address: Ipv6Addr) {
    for (position, byte) in address.octets().into_iter().enumerate() {
        if position != 0 && position % 2 == 0 {
            out.push(b':');
        }
        push_hex(out, byte);
    }
}

#[cfg(test)]
mod tests {
    use vxscope_units::Timestamp;

    use super::{
        push_address, push_address_full, push_log_time, push_micros, push_padded, push_time,
        push_u64,
    };

    #[test]
    fn numbers_print_as_the_standard_library_prints_them() {
        let powers = (0..20).map(|power| 10u64.pow(power));
        for value in powers
            .flat_map(|ten| [ten - 1, ten, ten + 1])
            .chain([0, u64::MAX])
        {
            check(|out| push_u64(out, value), &value.to_string());
            check(|out| push_padded(out, value, 6), &format!("{value:06}"));
        }
    }

    #[test]
    fn times_print_as_the_timestamp_does() {
        for seconds in [0, 951_782_400, 4_294_967_295, 18_000_000_000] {
            let time = Timestamp::new(seconds, 1_234_567);
            check(|out| push_time(out, time), &time.to_string());
        }
        check(
            |out| push_log_time(out, Timestamp::new(951_782_399, 0)),
            "2000-02-28-23-59-59",
        );
        check(|out| push_micros(out, 1_000_042), "1.000042");
        check(|out| push_micros(out, 7), "0.000007");
    }

    #[test]
    fn addresses_print_short_or_full() {
        for text in [
            "0.0.0.0",
            "255.10.1.199",
            "::",
            "2001:db8::1",
            "fe80::1:0:0:9",
        ] {
            check(|out| push_address(out, text.parse().unwrap()), text);
        }
        let address = "2001:db8::1".parse().unwrap();
        check(
            |out| push_address_full(out, address),
            "2001:0db8:0000:0000:0000:0000:0000:0001",
        );
        check(
            |out| push_address_full(out, "10.0.0.9".parse().unwrap()),
            "10.0.0.9",
        );
    }

    fn check(push: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut out = Vec::new();
        push(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
