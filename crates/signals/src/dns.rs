//! A DNS message (RFC 1035 §4.1), as far as its first question.
//!
//! Whatever the bytes are, the work is bounded by a name's 255 octets, and nothing is followed:
//! a compression pointer has nothing to point back at in a first question, so it is refused.

use vxscope_wire::{FrameView, protocol};

use crate::domain::{REGISTERED_MAX, registered};
use crate::mix::hash_bytes;

/// Port of the protocol.
const PORT: u16 = 53;
/// Octets of a message's header.
const HEADER: usize = 12;
/// Octets of a name, its length octets and its end included (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
/// Octets of one label.
const LABEL_MAX: usize = 63;

/// What a DNS message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether it asks; else it answers.
    pub is_query: bool,
    /// Hash of the registered domain of the first question's name, if the whole name is there.
    pub domain: Option<u64>,
}

/// The DNS message in a frame: UDP to or from port 53, or a TCP segment to or from it that begins
/// with a message. `seed` keys the hash of the domain.
///
/// Truncated frames show what their bytes show. Only standard queries (opcode 0) and their answers
/// are messages here: zone updates and notifications ask for nothing.
#[must_use]
pub fn read(view: &FrameView, frame: &[u8], seed: u64) -> Option<Message> {
    let tuple = &view.tuple;
    if tuple.source_port != PORT && tuple.destination_port != PORT || view.transport_offset == 0 {
        return None;
    }
    let transport = frame.get(usize::from(view.transport_offset)..)?;
    match tuple.protocol {
        protocol::UDP => {
            let payload = transport.get(8..)?;
            // What lies behind the datagram is padding of the frame.
            let length = payload.len().min(view.payload_len as usize);
            parse(payload.get(..length)?, seed)
        }
        protocol::TCP => {
            let header = usize::from(transport.get(12)? >> 4) * 4;
            let payload = transport.get(header.max(20)..)?;
            let length = payload.len().min(view.payload_len as usize);
            let (prefix, message) = payload.get(..length)?.split_at_checked(2)?;
            let claimed = u16::from_be_bytes([*prefix.first()?, *prefix.get(1)?]);
            // A segment in the middle of a message begins with something else.
            let is_whole = usize::from(claimed) >= HEADER && message.len() <= claimed.into();
            if is_whole { parse(message, seed) } else { None }
        }
        _ => None,
    }
}

/// A message by itself.
#[must_use]
pub fn parse(message: &[u8], seed: u64) -> Option<Message> {
    let (header, rest) = message.split_at_checked(HEADER)?;
    let flags = *header.get(2)?;
    if flags & 0x78 != 0 {
        return None;
    }
    let questions = u16::from_be_bytes([*header.get(4)?, *header.get(5)?]);
    let domain = if questions == 0 {
        None
    } else {
        name(rest, seed)
    };
    Some(Message {
        is_query: flags & 0x80 == 0,
        domain,
    })
}

/// Hash of the registered domain of the name at the start of `bytes`.
fn name(bytes: &[u8], seed: u64) -> Option<u64> {
    // A registered domain has three labels at most, so only the last three are remembered.
    let mut last: [&[u8]; REGISTERED_MAX] = [&[]; REGISTERED_MAX];
    let mut count = 0;
    let bytes = bytes.get(..bytes.len().min(NAME_MAX))?;
    let mut rest = bytes;
    loop {
        let (length, after) = rest.split_first()?;
        let length = usize::from(*length);
        if length == 0 {
            break;
        }
        // The two upper bits mark pointers and label types nobody uses.
        if length > LABEL_MAX {
            return None;
        }
        let (label, next) = after.split_at_checked(length)?;
        last = [last[1], last[2], label];
        count += 1;
        rest = next;
    }
    let labels = last.get(REGISTERED_MAX - REGISTERED_MAX.min(count)..)?;
    let labels = registered(labels);
    // Together with their length octets, so that no label can pass for two.
    let length: usize = labels.iter().map(|label| label.len() + 1).sum();
    let end = bytes.len() - rest.len();
    let domain = bytes.get(end.checked_sub(length)?..end)?;
    // A length octet is below 64, so making letters small leaves it alone.
    let mut small = [0; REGISTERED_MAX * (LABEL_MAX + 1)];
    let small = small.get_mut(..length)?;
    small.copy_from_slice(domain);
    small.make_ascii_lowercase();
    (!labels.is_empty()).then(|| hash_bytes(seed, small))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Message, parse};

    #[test]
    fn queries_and_answers_of_one_domain_have_one_hash() {
        let asked = parse(&message(0x01, "www.Example.COM"), 1).unwrap();
        let answered = parse(&message(0x81, "mail.example.com"), 1).unwrap();
        assert!(asked.is_query && !answered.is_query);
        assert!(asked.domain.is_some());
        assert_eq!(asked.domain, answered.domain);
        assert_ne!(
            asked.domain,
            parse(&message(1, "example.org"), 1).unwrap().domain
        );
        assert_ne!(
            asked.domain,
            parse(&message(1, "example.com"), 2).unwrap().domain
        );
    }

    #[test]
    fn what_is_no_standard_query_is_no_message() {
        for (flags, is_message) in [(0x00, true), (0x80, true), (0x28, false), (0x20, false)] {
            let found = parse(&message(flags, "example.com"), 1);
            assert_eq!(found.is_some(), is_message, "{flags:02x}");
        }
    }

    #[test]
    fn broken_names_give_no_domain_and_are_still_queries() {
        let header = message(1, "example.com")[..12].to_vec();
        let long = [&[63_u8][..], &[b'a'; 63]].concat().repeat(4);
        let names: [&[u8]; 8] = [
            b"",
            b"\x03ab",
            b"\x03abc",
            b"\xc0\x0c",
            b"\x03abc\xc0\x0c",
            b"\x40aaaa\0",
            b"\0",
            &long,
        ];
        for name in names {
            let found = parse(&[&header[..], name].concat(), 1);
            let expected = Message {
                is_query: true,
                domain: None,
            };
            assert_eq!(found, Some(expected), "{name:?}");
        }
        assert_eq!(parse(&header[..11], 1), None);
    }

    #[test]
    fn a_message_without_question_has_no_domain() {
        let mut bytes = message(0x81, "example.com");
        bytes[5] = 0;
        assert_eq!(parse(&bytes, 1).unwrap().domain, None);
    }

    #[test]
    fn the_longest_name_has_a_domain() {
        let name = vec!["a"; 127].join(".");
        assert!(parse(&message(1, &name), 1).unwrap().domain.is_some());
        let name = vec!["a"; 128].join(".");
        assert_eq!(parse(&message(1, &name), 1).unwrap().domain, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let found = parse(&bytes, 1);
            prop_assert!(found.is_none() || bytes.len() >= 12);
            // Nothing behind the first question matters.
            if found.is_some_and(|message| message.domain.is_some()) {
                prop_assert_eq!(parse(&[&bytes[..], &[0xff; 9]].concat(), 1), found);
            }
        }

        /// However a good message is cut, what is left shows the same domain or none.
        #[test]
        fn a_cut_message_never_shows_another_domain(cut in 0_usize..40) {
            let bytes = message(1, "www.example.co.uk");
            let whole = parse(&bytes, 1).and_then(|message| message.domain);
            let bytes = &bytes[..cut.min(bytes.len())];
            let left = parse(bytes, 1).and_then(|message| message.domain);
            prop_assert!(left.is_none() || left == whole);
        }
    }

    fn message(flags: u8, name: &str) -> Vec<u8> {
        let mut bytes = vec![0, 7, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
        bytes
    }
}
