//! Which worker gets a frame: a symmetric 32-bit hash of VNI, addresses and ports.
//!
//! Live, a BPF program in the kernel, classic or extended, computes the same number, so every step
//! is one that a 32-bit accumulator can do: wrapping addition and multiplication, shift, exclusive
//! or.
//!
//! ```text
//!  word(v4)  = the address                        word(MAC) = its last four bytes
//!  word(v6)  = ((w0 * 31 + w1) * 31 + w2) * 31 + w3       big-endian words
//!  end       = mix((word + port * 0x9e3779b1) ^ seed)     source and destination alike
//!  hash      = mix(end(source) + end(destination) + vni * 0x27d4eb2f)
//!  worker    = (hash >> 8) % workers
//!  mix(a):     a *= 0x85ebca6b;  a ^= a >> 15;  a *= 0xc2b2ae35;  a ^= a >> 13
//! ```
//!
//! The sum makes it symmetric while each address stays bound to its port; the seed stands inside
//! `mix`, so that nobody outside can choose ends that collide by their mixed values. Ports count
//! for TCP, UDP and SCTP only and are 0 for everything else, ICMP included, so that a question,
//! its answer and an error about it meet. The protocol does not count.
//!
//! A first fragment has ports; for later ones the caller puts the joined ports into the view, and
//! [`Steering::worker`] has all of a packet where its flow is. The kernel cannot join them, so it
//! delivers fragments by their addresses alone, [`Steering::arrival`]: all of a packet arrive in
//! their order at one worker, which joins their ports and hands them on.
//!
//! Frames that are not IP are hashed by their addresses at the start of the frame. Malformed and
//! truncated frames belong to no flow: their hash is 0, so worker 0 has them, as a load beyond
//! the packet makes a BPF program return 0.

use std::num::NonZeroU16;

use vxscope_units::Vni;

use crate::view::{Addresses, Class, Fragment, FrameView, protocol};

/// Multiplier of a port before it is added to its address (2³² / golden ratio).
pub const PORT_FACTOR: u32 = 0x9e37_79b1;
/// Multiplier of the VNI.
pub const VNI_FACTOR: u32 = 0x27d4_eb2f;
/// The two multipliers of `mix`.
pub const MIX_FACTORS: [u32; 2] = [0x85eb_ca6b, 0xc2b2_ae35];
/// The two right shifts of `mix`.
pub const MIX_SHIFTS: [u32; 2] = [15, 13];
/// Multiplier of the Horner fold of IPv6 addresses.
pub const FOLD_FACTOR: u32 = 31;
/// Low bits of the hash that do not choose the worker.
pub const WORKER_SHIFT: u32 = 8;
/// Where the last four bytes of the destination and of the source MAC address stand in a frame.
pub const MAC_OFFSETS: [usize; 2] = [2, 8];

/// The seed of this process and the number of workers.
#[derive(Clone, Copy, Debug)]
pub struct Steering {
    seed: u32,
    workers: NonZeroU16,
}

impl Steering {
    /// A steering function; the same seed and number give the same answers.
    #[must_use]
    pub const fn new(seed: u32, workers: NonZeroU16) -> Self {
        Self { seed, workers }
    }

    /// The worker of this frame, below the number of workers.
    #[must_use]
    #[inline]
    pub fn worker(&self, view: &FrameView, frame: &[u8], vni: Vni) -> usize {
        self.of_hash(self.hash(view, frame, vni))
    }

    /// As [`Self::worker`], without a view, of the frames that there are most of: untagged, IPv4
    /// without options, whole, TCP or UDP with all of its header. `None` for any other.
    #[must_use]
    #[inline]
    pub fn plain_worker(&self, frame: &[u8], vni: Vni) -> Option<usize> {
        let header = frame.first_chunk::<42>()?;
        let total = usize::from(u16::from_be_bytes([header[16], header[17]]));
        let transport_len = match header[23] {
            protocol::TCP => 20,
            protocol::UDP => 8,
            _ => return None,
        };
        let is_plain = header[12..15] == [0x08, 0x00, 0x45]
            && header[20] & 0x3f | header[21] == 0
            && total >= 20 + transport_len
            && frame.len() >= 34 + transport_len;
        if !is_plain {
            return None;
        }
        let word = |[a, b, c, d]: [u8; 4]| u32::from_be_bytes([a, b, c, d]);
        let source = word([header[26], header[27], header[28], header[29]]);
        let destination = word([header[30], header[31], header[32], header[33]]);
        let ports = word([header[34], header[35], header[36], header[37]]);
        let ends = self
            .end(source, (ports >> 16) as u16)
            .wrapping_add(self.end(destination, (ports & 0xffff) as u16));
        Some(self.of_hash(Self::finish(ends, vni)))
    }

    #[inline]
    fn finish(ends: u32, vni: Vni) -> u32 {
        mix(ends.wrapping_add(vni.get().wrapping_mul(VNI_FACTOR)))
    }

    #[inline]
    fn of_hash(&self, hash: u32) -> usize {
        ((hash >> WORKER_SHIFT) % u32::from(self.workers.get())) as usize
    }

    /// The worker at which the kernel delivers this frame. It is [`Self::worker`] for everything
    /// but fragments.
    #[must_use]
    pub fn arrival(&self, view: &FrameView, frame: &[u8], vni: Vni) -> usize {
        if view.fragment == Fragment::No {
            return self.worker(view, frame, vni);
        }
        let mut portless = *view;
        (portless.tuple.source_port, portless.tuple.destination_port) = (0, 0);
        self.worker(&portless, frame, vni)
    }

    /// The hash that both directions of a conversation share; see the module's text.
    #[must_use]
    #[inline]
    pub fn hash(&self, view: &FrameView, frame: &[u8], vni: Vni) -> u32 {
        let ((source, destination), (source_port, destination_port)) = match view.class {
            Class::Ip => (address_words(&view.tuple.addresses), ports(view)),
            Class::NonIp => (mac_words(frame), (0, 0)),
            Class::Malformed | Class::Truncated => return 0,
        };
        let ends = self
            .end(source, source_port)
            .wrapping_add(self.end(destination, destination_port));
        Self::finish(ends, vni)
    }

    #[inline]
    fn end(&self, word: u32, port: u16) -> u32 {
        let bound = word.wrapping_add(u32::from(port).wrapping_mul(PORT_FACTOR));
        mix(bound ^ self.seed)
    }
}

#[inline]
const fn mix(word: u32) -> u32 {
    let word = word.wrapping_mul(MIX_FACTORS[0]);
    let word = word ^ (word >> MIX_SHIFTS[0]);
    let word = word.wrapping_mul(MIX_FACTORS[1]);
    word ^ (word >> MIX_SHIFTS[1])
}

#[inline]
fn ports(view: &FrameView) -> (u16, u16) {
    match view.tuple.protocol {
        protocol::TCP | protocol::UDP | protocol::SCTP => {
            (view.tuple.source_port, view.tuple.destination_port)
        }
        _ => (0, 0),
    }
}

#[inline]
fn address_words(addresses: &Addresses) -> (u32, u32) {
    match addresses {
        Addresses::V4 {
            source,
            destination,
        } => (*source, *destination),
        Addresses::V6 {
            source,
            destination,
        } => (fold(source), fold(destination)),
    }
}

#[inline]
fn fold(address: &[u8; 16]) -> u32 {
    let (words, _) = address.as_chunks::<4>();
    words.iter().fold(0, |sum: u32, word| {
        sum.wrapping_mul(FOLD_FACTOR)
            .wrapping_add(u32::from_be_bytes(*word))
    })
}

#[inline]
fn mac_words(frame: &[u8]) -> (u32, u32) {
    let word = |offset| {
        let bytes = frame.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    };
    let [destination, source] = MAC_OFFSETS;
    (word(source), word(destination))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use vxscope_units::Vni;

    use super::Steering;
    use crate::build::{ethernet, ipv4, ipv6, tcp, udp};
    use crate::frame::parse_frame;

    const VNI: Vni = Vni::from_bytes([0, 0, 7]);

    #[test]
    fn the_steps_give_the_documented_numbers() {
        // Computed by another program from the definition above.
        let frame = ethernet(0x0800, &ipv4(6, &tcp(1_000, 80, 2, b"")));
        assert_eq!(hash(&frame), 0xd5f3_84fa);
        assert_eq!(
            hash(&ethernet(0x86dd, &ipv6(17, &udp(1_000, 53, b"")))),
            0xdd73_9fcc
        );
        assert_eq!(hash(&ethernet(0x0806, &[0; 28])), 0xf52f_9b0b);
        let worker = steering(4).worker(&parse_frame(&frame, 0), &frame, VNI);
        assert_eq!(worker, (0xd5_f384 % 4) as usize);
    }

    #[test]
    fn the_vni_separates_tenants_and_the_seed_processes() {
        let frame = ethernet(0x0800, &ipv4(17, &udp(1_000, 53, b"")));
        let view = parse_frame(&frame, 0);
        let hash = steering(4).hash(&view, &frame, VNI);
        assert_ne!(hash, steering(4).hash(&view, &frame, Vni::ZERO));
        let other = Steering::new(1, NonZeroU16::MIN).hash(&view, &frame, VNI);
        assert_ne!(hash, other);
    }

    #[test]
    fn icmp_goes_by_addresses_alone() {
        let echo = ethernet(0x0800, &ipv4(1, &[8, 0, 0, 0, 0, 0, 0, 0]));
        let error = ethernet(0x0800, &ipv4(1, &[3, 1, 0, 0, 0, 0, 0, 0]));
        let other = ethernet(0x0800, &ipv4(47, &[3, 1, 0, 0, 0, 0, 0, 0]));
        assert_eq!(hash(&echo), hash(&error));
        assert_eq!(hash(&echo), hash(&other));
    }

    #[test]
    fn all_fragments_of_a_packet_arrive_where_its_addresses_say() {
        let mut first = ethernet(0x0800, &ipv4(17, &udp(1_000, 53, b"question")));
        let whole = steering(64).worker(&parse_frame(&first, 0), &first, VNI);
        let arrival = |frame: &[u8]| steering(64).arrival(&parse_frame(frame, 0), frame, VNI);
        assert_eq!(arrival(&first), whole);
        first[20] = 0x20;
        let owner = steering(64).worker(&parse_frame(&first, 0), &first, VNI);
        assert_eq!(owner, whole);
        let mut later = first.clone();
        later[21] = 9;
        assert_eq!(arrival(&later), arrival(&first));
        assert_ne!(arrival(&first), whole);
    }

    #[test]
    fn frames_without_ip_go_by_their_macs_in_both_directions() {
        let frame = ethernet(0x0806, &[0; 28]);
        let mut back = frame.clone();
        back[..6].copy_from_slice(&frame[6..12]);
        back[6..12].copy_from_slice(&frame[..6]);
        assert_eq!(hash(&frame), hash(&back));
        back[5] ^= 1;
        assert_ne!(hash(&frame), hash(&back));
    }

    #[test]
    fn what_has_no_flow_goes_to_worker_zero() {
        let frame = ethernet(0x86dd, &ipv6(6, &tcp(1, 2, 0, b"")));
        assert_ne!(hash(&frame), 0);
        assert_eq!(hash(&frame[..56]), 0);
        let mut malformed = frame.clone();
        malformed[14] = 0x10;
        assert_eq!(hash(&malformed), 0);
    }

    /// Every cut and every single-bit change of plain frames: without a view the worker is the
    /// same, or not known.
    #[test]
    fn plain_frames_need_no_view() {
        let steering = steering(64);
        let check = |frame: &[u8]| {
            let plain = steering.plain_worker(frame, VNI)?;
            assert_eq!(
                plain,
                steering.worker(&parse_frame(frame, 0), frame, VNI),
                "{frame:02x?}"
            );
            Some(plain)
        };
        for packet in [
            ipv4(6, &tcp(1_000, 80, 2, b"x")),
            ipv4(17, &udp(1_000, 53, b"x")),
        ] {
            let frame = ethernet(0x0800, &packet);
            assert!(check(&frame).is_some());
            for cut in 0..frame.len() {
                check(&frame[..cut]);
            }
            for bit in 0..frame.len() * 8 {
                let mut changed = frame.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                check(&changed);
            }
        }
    }

    #[test]
    fn flows_spread_evenly() {
        for workers in [2, 3, 4, 16] {
            let mut counts = vec![0_u32; usize::from(workers)];
            for port in 1..=8_000 {
                let frame = ethernet(0x0800, &ipv4(6, &tcp(port, 443, 2, b"")));
                counts[steering(workers).worker(&parse_frame(&frame, 0), &frame, VNI)] += 1;
            }
            let mean = 8_000 / u32::from(workers);
            for count in counts {
                assert!(
                    count > mean * 85 / 100 && count < mean * 115 / 100,
                    "{count} of {mean}"
                );
            }
        }
    }

    fn steering(workers: u16) -> Steering {
        Steering::new(0xdead_beef, NonZeroU16::new(workers).unwrap())
    }

    fn hash(frame: &[u8]) -> u32 {
        steering(4).hash(&parse_frame(frame, 0), frame, VNI)
    }
}
