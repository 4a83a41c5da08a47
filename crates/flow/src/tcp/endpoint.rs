//! One end of a TCP connection: its state, and its byte stream as far as it shows.

use vxscope_wire::{TcpSegment, flag};

use super::ahead::{Ahead, distance};

/// A jump further than this in a SYN or RST is not believed (Zeek's value).
const UNBELIEVABLE_JUMP: u32 = 1 << 20;
/// Bytes ahead of a hole, while none were ever acknowledged, after which the peer's
/// acknowledgements are taken to travel elsewhere and holes are no longer tracked (Zeek's value).
const AHEAD_WITHOUT_ACK: u32 = 16_384;
/// Bytes ahead of a hole after which holes are no longer tracked at all (Zeek's value).
const AHEAD_MAX: u32 = 10 << 20;

/// Zeek's states of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing seen from this side.
    #[default]
    Inactive,
    /// It sent a SYN, unanswered.
    SynSent,
    /// It sent a SYN-ACK, no SYN was seen.
    SynAckSent,
    /// Seen in the middle of a connection, no SYN.
    Partial,
    /// SYN and SYN-ACK were seen.
    Established,
    /// It sent a FIN.
    Closed,
    /// It sent a RST.
    Reset,
}

/// Kinds of segments that get a letter the first time only, and what else fits a bit.
pub(super) mod seen {
    /// A SYN, with or without ACK.
    pub(crate) const SYN: u16 = 1 << 0;
    /// A FIN.
    pub(crate) const FIN: u16 = 1 << 1;
    /// A RST.
    pub(crate) const RST: u16 = 1 << 2;
    /// FIN and RST in one segment.
    pub(crate) const FIN_RST: u16 = 1 << 3;
    /// SYN together with FIN or RST.
    pub(crate) const MIXED: u16 = 1 << 4;
    /// Payload.
    pub(crate) const DATA: u16 = 1 << 5;
    /// An acknowledgement without payload.
    pub(crate) const ACK: u16 = 1 << 6;
    /// The peer acknowledged more than a SYN of this end.
    pub(crate) const ACKNOWLEDGED: u16 = 1 << 7;
    /// The peer acknowledged this end's FIN.
    pub(crate) const FIN_ACKNOWLEDGED: u16 = 1 << 8;
    /// Holes in this end's stream are no longer tracked.
    pub(crate) const UNTRACKED: u16 = 1 << 9;
}

/// Holes that an acknowledgement passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    /// How many.
    pub(super) count: u8,
    /// Their bytes together.
    pub(super) bytes: u64,
}

/// What every segment touches of one end. Sequence numbers are as on the wire, compared by signed
/// distance. Both ends' are in the first cache line of a flow's cold entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Front {
    /// Sequence number of the SYN; one before the first number known, if no SYN was seen.
    start: u32,
    /// One past the highest sequence number that this end sent.
    last: u32,
    /// Everything before is received or given up. Never far from `last` (see `keep_close`).
    complete: u32,
    /// Bits of [`seen`].
    seen: u16,
    /// OR of all flags that this end sent.
    pub(super) flags: u8,
    states: States,
}

/// What a segment in order leaves alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    /// One past the FIN; meaningful once `flags` has it.
    pub(super) fin: u32,
    /// The latest RST's sequence number relative to `start`.
    pub(super) reset: u32,
    /// What arrived beyond `complete`.
    ahead: Ahead,
    /// How often the distance from `start` outgrew 32 bits.
    wraps: u16,
    gaps: u16,
    retransmissions: u16,
    zero_windows: u16,
}

const _: () = assert!(size_of::<Front>() == 16 && size_of::<Details>() == 32);

/// One end of a connection, its two parts together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub(super) front: Front,
    pub(super) details: Details,
}

/// The state and the one before, three bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct States(u8);

impl States {
    fn at(self, shift: u8) -> State {
        match self.0 >> shift & 0b111 {
            0 => State::Inactive,
            1 => State::SynSent,
            2 => State::SynAckSent,
            3 => State::Partial,
            4 => State::Established,
            5 => State::Closed,
            _ => State::Reset,
        }
    }
}

impl Front {
    pub(super) fn state(&self) -> State {
        self.states.at(0)
    }

    fn previous(&self) -> State {
        self.states.at(3)
    }

    pub(super) fn set_state(&mut self, state: State) {
        if state != self.state() {
            self.states = States((self.states.0 & 0b111) << 3 | state as u8);
        }
    }

    pub(super) fn is_inactive(&self) -> bool {
        self.state() == State::Inactive
    }

    /// It sent a FIN or a RST.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state(), State::Closed | State::Reset)
    }

    /// Nothing seen, or only the middle of a stream.
    pub(super) fn never_opened(&self) -> bool {
        matches!(self.state(), State::Inactive | State::Partial)
    }

    /// Established, or closed after having been: its sequence numbers can be trusted.
    pub(super) fn is_clean(&self) -> bool {
        match self.state() {
            State::Established => true,
            State::Closed => self.previous() == State::Established,
            _ => false,
        }
    }

    /// It sent a FIN, then a RST.
    pub(super) fn reset_after_close(&self) -> bool {
        self.state() == State::Reset && self.previous() == State::Closed
    }

    pub(super) fn start(&self) -> u32 {
        self.start
    }

    pub(super) fn has(&self, bit: u16) -> bool {
        self.seen & bit != 0
    }

    /// It sent payload, and acknowledgements without.
    pub(super) fn went_on(&self) -> bool {
        const BOTH: u16 = seen::DATA | seen::ACK;
        self.seen & BOTH == BOTH
    }

    /// Notes `bit`; true the first time.
    pub(super) fn first(&mut self, bit: u16) -> bool {
        let is_first = !self.has(bit);
        self.seen |= bit;
        is_first
    }

    /// Takes in the next segment of an established connection without holes, if it is one that
    /// says nothing new but its payload; otherwise false, and nothing happened.
    #[inline]
    pub(super) fn goes_on_in_order(
        &mut self,
        peer: &Self,
        segment: &TcpSegment,
        payload_len: u32,
    ) -> bool {
        const CONTROL: u8 = flag::SYN | flag::FIN | flag::RST | flag::ACK;
        let kind = if payload_len > 0 {
            seen::DATA
        } else {
            seen::ACK
        };
        let behind = peer.complete.wrapping_sub(segment.acknowledgement);
        // Sequence numbers that outgrow 32 bits are counted elsewhere.
        let is_plain = segment.flags & CONTROL == flag::ACK
            && segment.window != 0
            && segment.sequence == self.last
            && self.last == self.complete
            && payload_len <= u32::from(u16::MAX)
            && self.last.wrapping_sub(self.start) <= u32::MAX - u32::from(u16::MAX)
            && behind <= AHEAD_MAX
            && self.has(kind)
            && (peer.has(seen::ACKNOWLEDGED)
                || segment.acknowledgement == peer.start.wrapping_add(1))
            && self.state() == State::Established
            && peer.state() == State::Established;
        if is_plain {
            self.flags |= segment.flags;
            self.last = self.last.wrapping_add(payload_len);
            self.complete = self.last;
        }
        is_plain
    }

    /// Distance from `start` to the furthest point known, without wraps.
    pub(super) fn reach(&self) -> u32 {
        let furthest = if distance(self.last, self.complete) > 0 {
            self.last
        } else {
            self.complete
        };
        furthest.wrapping_sub(self.start)
    }
}

impl Endpoint {
    /// Counts a gap; true if it deserves a letter.
    pub(super) fn counts_gap(&mut self) -> bool {
        count(&mut self.details.gaps)
    }

    /// Counts a zero window, unless nobody waits for this window any more; true if it deserves a
    /// letter.
    pub(super) fn announces_zero_window(&mut self, peer: &Self) -> bool {
        peer.front.state() != State::Closed
            && self.front.state() != State::Reset
            && count(&mut self.details.zero_windows)
    }

    /// Finds the start of the stream in the first segment, or again in a SYN that contradicts it,
    /// as long as the peer has not gone on: then the SYN is a stale one.
    pub(super) fn open(&mut self, segment: &TcpSegment, span: u32, peer: &Self) {
        let is_syn = segment.flags & flag::SYN != 0;
        let restarts = match self.front.state() {
            State::Inactive => true,
            State::Reset => is_syn && self.front.previous() == State::Inactive,
            State::Closed => false,
            _ => {
                let went_on =
                    peer.front.has(seen::ACK | seen::DATA) && peer.front.state() != State::Inactive;
                is_syn && segment.sequence != self.front.start && !went_on
            }
        };
        if !restarts {
            return;
        }
        if is_syn {
            self.begin(segment.sequence, segment.sequence.wrapping_add(span));
        } else {
            // As if a SYN had been seen just before; `last` is such that this segment is new.
            self.begin(segment.sequence.wrapping_sub(1), segment.sequence);
        }
    }

    fn begin(&mut self, start: u32, last: u32) {
        self.front.start = start;
        self.front.last = last;
        self.front.complete = start.wrapping_add(1);
        self.details.ahead = Ahead::default();
        self.details.wraps = 0;
        self.front.seen &= !(seen::ACKNOWLEDGED | seen::UNTRACKED);
    }

    /// Where the peer's acknowledgement points in this end's stream. `None` if it opens the
    /// stream, points before its start or is not to be trusted.
    pub(super) fn acknowledged(&mut self, segment: &TcpSegment) -> Option<u32> {
        let number = segment.acknowledgement;
        if self.front.is_inactive() {
            let start = number.wrapping_sub(1);
            self.begin(start, start);
            return None;
        }
        let advance = distance(number, self.front.complete);
        let broken = number == 0 && advance > UNBELIEVABLE_JUMP.cast_signed();
        if segment.flags & flag::RST != 0 || broken || self.position(number).is_none() {
            return None;
        }
        if number.wrapping_sub(self.front.start) > 1 {
            self.front.seen |= seen::ACKNOWLEDGED;
        }
        if self.front.flags & flag::FIN != 0 && distance(number, self.details.fin) >= 0 {
            self.front.seen |= seen::FIN_ACKNOWLEDGED;
            return Some(self.details.fin.wrapping_sub(1));
        }
        Some(number)
    }

    /// Moves `last` to the end of a segment; true if the segment is a retransmission that
    /// deserves a letter.
    pub(super) fn advance(&mut self, segment: &TcpSegment, span: u32, payload_len: u32) -> bool {
        let end = segment.sequence.wrapping_add(span);
        let step = distance(end, self.front.last);
        let is_far = step.unsigned_abs() > UNBELIEVABLE_JUMP;
        let after_syn = self.front.start.wrapping_add(1);
        let (only_syn_seen, only_syn_complete) = (
            self.front.last == after_syn,
            self.front.complete == after_syn,
        );
        if segment.flags & (flag::SYN | flag::RST) != 0 && is_far {
            return false;
        }
        if segment.flags & flag::FIN != 0 && only_syn_seen {
            if step > 0 {
                self.front.last = end;
                self.keep_close();
            } else if is_far {
                // Only SYN and FIN were seen, more than 2 GiB apart.
                self.front.last = end;
                if only_syn_complete {
                    self.front.complete = end;
                }
            }
            return false;
        }
        if self.front.state() == State::Reset {
            return false;
        }
        if step > 0 {
            self.front.last = end;
            self.keep_close();
            return false;
        }
        payload_len > 0 && count(&mut self.details.retransmissions)
    }

    /// Takes in payload from `first` on.
    pub(super) fn receive(&mut self, first: u32, payload_len: u32) {
        let end = first.wrapping_add(payload_len);
        if self.front.state() == State::Reset || distance(end, self.front.complete) <= 0 {
            return;
        }
        if distance(first, self.front.complete) <= 0 || self.front.has(seen::UNTRACKED) {
            self.complete_up_to(end);
        } else {
            self.details.ahead.hold(self.front.complete, first, end);
            self.limit_ahead();
        }
    }

    /// The peer has everything before `number`: what is not complete there is a gap.
    pub(super) fn complete_to(&mut self, number: u32) -> Gaps {
        let mut gaps = Gaps::default();
        while distance(number, self.front.complete) > 0 {
            let hole_end = match self.details.ahead.start() {
                Some(start) if distance(number, start) > 0 => start,
                _ => number,
            };
            if !self.front.has(seen::UNTRACKED) {
                gaps.count = gaps.count.saturating_add(1);
                gaps.bytes += u64::from(hole_end.wrapping_sub(self.front.complete));
            }
            self.complete_up_to(hole_end);
        }
        self.keep_close();
        gaps
    }

    /// Everything before `number` is dealt with; pieces that begin there join.
    fn complete_up_to(&mut self, number: u32) {
        self.front.complete = self.details.ahead.join(number);
    }

    /// Gives up on holes that nobody will report as such.
    fn limit_ahead(&mut self) {
        let end = self.details.ahead.end().unwrap_or(self.front.complete);
        let limit = if self.front.has(seen::ACKNOWLEDGED) {
            AHEAD_MAX
        } else {
            AHEAD_WITHOUT_ACK
        };
        if end.wrapping_sub(self.front.complete) > limit {
            self.stop_tracking(end);
        }
    }

    fn stop_tracking(&mut self, complete: u32) {
        self.front.seen |= seen::UNTRACKED;
        self.front.complete = complete;
        self.details.ahead = Ahead::default();
    }

    /// Keeps `last` and `complete` within a quarter of the sequence space, so that their order
    /// and the number of wraps stay known when only one direction of the connection is seen.
    fn keep_close(&mut self) {
        const QUARTER: i32 = 1 << 30;
        let lead = distance(self.front.last, self.front.complete);
        if lead > QUARTER {
            self.stop_tracking(self.front.last);
        } else if lead < -QUARTER {
            self.front.last = self.front.complete.wrapping_sub(QUARTER.cast_unsigned());
        }
    }

    /// Counts a wrap if `reach` became smaller than `before`.
    pub(super) fn note_wrap(&mut self, before: u32) {
        if self.front.reach() < before {
            self.details.wraps = self.details.wraps.saturating_add(1);
        }
    }

    /// Distance of a sequence number from `start`; `None` before it.
    pub(super) fn position(&self, number: u32) -> Option<u64> {
        let reach = self.front.reach();
        let beyond = distance(number, self.front.start.wrapping_add(reach));
        self.length(reach).checked_add_signed(i64::from(beyond))
    }

    fn length(&self, reach: u32) -> u64 {
        u64::from(self.details.wraps) << 32 | u64::from(reach)
    }

    /// Payload bytes this end sent.
    pub(super) fn size(&self, peer: &Front) -> u64 {
        let half_open_aborted = self.front.state() == State::Reset
            && self.front.previous() == State::SynSent
            && peer.is_inactive();
        if half_open_aborted && self.front.complete != self.front.start.wrapping_add(1) {
            return 0;
        }
        let fin = u64::from(self.front.flags & flag::FIN != 0);
        self.length(self.front.reach())
            .saturating_sub(1)
            .saturating_sub(fin)
    }
}

/// Counts; true at 1, 10, 100, 1,000 and 10,000.
fn count(counter: &mut u16) -> bool {
    *counter = counter.saturating_add(1);
    matches!(*counter, 1 | 10 | 100 | 1_000 | 10_000)
}
