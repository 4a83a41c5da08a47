//! Reads the records of pcap and pcapng files, enough to count and to recognise mirror traffic.
//! Apart from `vxscope-pcap` on purpose: the bundled captures are judged by a second reader.

use crate::Result;

/// The link type of Ethernet frames.
pub(crate) const ETHERNET: u32 = 1;
/// The fixed part of a pcap record and of a pcapng enhanced packet block.
const PCAP_RECORD_HEADER: usize = 16;
const PCAPNG_SECTION: u32 = 0x0a0d_0d0a;
const PCAPNG_INTERFACE: u32 = 1;
const PCAPNG_SIMPLE_PACKET: u32 = 3;
const PCAPNG_ENHANCED_PACKET: u32 = 6;

/// The captured bytes of each record, and the link type of the file.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    pub(crate) link_type: u32,
    pub(crate) frames: Vec<&'a [u8]>,
}

/// Who sent a mirrored frame: the source address of the outer packet, and its VNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mirror {
    pub(crate) source: std::net::Ipv4Addr,
    pub(crate) vni: u32,
}

/// Reads a whole file; a record that does not end inside the file is an error.
pub(crate) fn read(bytes: &[u8]) -> Result<Records<'_>> {
    match bytes.first_chunk::<4>() {
        Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => {
            pcap(bytes, u32::from_le_bytes)
        }
        Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => {
            pcap(bytes, u32::from_be_bytes)
        }
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => pcapng(bytes),
        _ => Err("this is neither pcap nor pcapng".into()),
    }
}

/// The mirror that an Ethernet frame of untagged IPv4, UDP and VXLAN came from.
pub(crate) fn mirror_of(frame: &[u8]) -> Option<Mirror> {
    let packet = frame.get(12..)?.strip_prefix(&[0x08, 0x00])?;
    let header_length = usize::from(packet.first()? & 0x0f) * 4;
    let source: [u8; 4] = *packet.get(12..)?.first_chunk()?;
    if packet.get(9) != Some(&17) {
        return None;
    }
    let datagram = packet.get(header_length..)?;
    if datagram.get(2..4)? != 4789_u16.to_be_bytes() {
        return None;
    }
    let [_, _, _, _, high, middle, low, _] = datagram.get(8..)?.first_chunk::<8>()?;
    let vni = u32::from_be_bytes([0, *high, *middle, *low]);
    Some(Mirror {
        source: source.into(),
        vni,
    })
}

fn pcap(bytes: &[u8], number: fn([u8; 4]) -> u32) -> Result<Records<'_>> {
    let link_type = word(bytes, 20, number).ok_or("the file header is cut off")?;
    let mut rest = bytes.get(24..).ok_or("the file header is cut off")?;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (frame, after) = word(rest, 8, number)
            .and_then(|length| usize::try_from(length).ok())
            .and_then(|length| rest.get(PCAP_RECORD_HEADER..)?.split_at_checked(length))
            .ok_or_else(|| format!("record {} is cut off", frames.len() + 1))?;
        frames.push(frame);
        rest = after;
    }
    Ok(Records { link_type, frames })
}

fn pcapng(bytes: &[u8]) -> Result<Records<'_>> {
    let mut number: fn([u8; 4]) -> u32 = u32::from_le_bytes;
    let mut link_type = ETHERNET;
    let mut frames = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let cut = || "a block is cut off";
        let kind = word(rest, 0, number).ok_or_else(cut)?;
        if kind == PCAPNG_SECTION {
            let little = rest.get(8..12) == Some(&[0x4d, 0x3c, 0x2b, 0x1a]);
            number = if little {
                u32::from_le_bytes
            } else {
                u32::from_be_bytes
            };
        }
        let length = word(rest, 4, number).and_then(|length| usize::try_from(length).ok());
        let (block, after) = length
            .filter(|length| *length >= 12)
            .and_then(|length| rest.split_at_checked(length))
            .ok_or_else(cut)?;
        match kind {
            PCAPNG_INTERFACE => {
                let [first, second] = *block
                    .get(8..)
                    .and_then(<[u8]>::first_chunk)
                    .ok_or_else(cut)?;
                // Half a word: the same half in either byte order of the section.
                link_type = number([first, second, first, second]) & 0xffff;
            }
            PCAPNG_ENHANCED_PACKET => {
                let captured = word(block, 20, number).and_then(|one| usize::try_from(one).ok());
                let frame = captured.and_then(|captured| block.get(28..)?.get(..captured));
                frames.push(frame.ok_or_else(cut)?);
            }
            PCAPNG_SIMPLE_PACKET => {
                frames.push(block.get(12..block.len() - 4).ok_or_else(cut)?);
            }
            _ => {}
        }
        rest = after;
    }
    Ok(Records { link_type, frames })
}

fn word(bytes: &[u8], at: usize, number: fn([u8; 4]) -> u32) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_both_byte_orders_are_counted() {
        check(&pcap_file(u32::to_le_bytes), &[b"abc", b""]);
        check(&pcap_file(u32::to_be_bytes), &[b"abc", b""]);
    }

    #[test]
    fn blocks_of_pcapng_are_counted() {
        check(&pcapng_file(u32::to_le_bytes), &[b"abc", b"defg"]);
        check(&pcapng_file(u32::to_be_bytes), &[b"abc", b"defg"]);
    }

    #[test]
    fn a_cut_off_file_is_an_error_and_not_a_smaller_count() {
        for whole in [pcap_file(u32::to_le_bytes), pcapng_file(u32::to_le_bytes)] {
            let cut = whole.get(..whole.len() - 1).expect("a longer file");
            assert!(read(cut).is_err());
        }
        assert!(read(b"nothing").is_err());
    }

    #[test]
    fn a_mirrored_frame_names_its_source_and_vni() {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45]);
        frame.extend([0; 8]);
        frame.extend([17, 0, 0, 192, 0, 2, 11, 192, 0, 2, 1]);
        frame.extend([0xc0, 0, 0x12, 0xb5, 0, 16, 0, 0]);
        frame.extend([8, 0, 0, 0, 0, 0x12, 0x67, 0]);
        let expected = Mirror {
            source: [192, 0, 2, 11].into(),
            vni: 4711,
        };
        assert_eq!(mirror_of(&frame), Some(expected));
        assert_eq!(
            mirror_of(frame.get(..frame.len() - 1).expect("a longer frame")),
            None
        );
        frame[23] = 6;
        assert_eq!(mirror_of(&frame), None);
    }

    fn check(file: &[u8], expected: &[&[u8]]) {
        let records = read(file).expect("a whole file");
        assert_eq!(records.link_type, ETHERNET);
        assert_eq!(records.frames, expected);
    }

    fn pcap_file(bytes_of: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let header = [0xa1b2_c3d4, 0x0002_0004, 0, 0, 262_144, ETHERNET];
        let mut file: Vec<u8> = header.into_iter().flat_map(bytes_of).collect();
        file.extend([1, 2, 3, 3].into_iter().flat_map(bytes_of));
        file.extend(b"abc");
        file.extend([1, 2, 0, 9].into_iter().flat_map(bytes_of));
        file
    }

    fn pcapng_file(bytes_of: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut block = |kind: u32, body: &[u8]| {
            let length = bytes_of(u32::try_from(body.len() + 12).expect("a small block"));
            file.extend(
                bytes_of(kind)
                    .into_iter()
                    .chain(length)
                    .chain(body.iter().copied()),
            );
            file.extend(length);
        };
        let words = |words: &[u32]| {
            words
                .iter()
                .copied()
                .flat_map(bytes_of)
                .collect::<Vec<u8>>()
        };
        block(
            PCAPNG_SECTION,
            &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]),
        );
        // The link type is the first half word of the block, in the byte order of the section.
        let half = bytes_of(ETHERNET);
        let half = if half[0] == 1 {
            [1, 0, 0, 0]
        } else {
            [0, 1, 0, 0]
        };
        block(PCAPNG_INTERFACE, &[half, bytes_of(0)].concat());
        block(0xbad, b"skip");
        block(
            PCAPNG_ENHANCED_PACKET,
            &[words(&[0, 0, 0, 3, 3]), b"abc\0".to_vec()].concat(),
        );
        block(
            PCAPNG_SIMPLE_PACKET,
            &[words(&[4]), b"defg".to_vec()].concat(),
        );
        file
    }
}
