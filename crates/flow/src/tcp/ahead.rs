//! What arrived beyond a hole in a byte stream: two pieces at most.

/// Signed distance from `from` to `to` in sequence space.
pub(super) fn distance(to: u32, from: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// Received bytes `[start, end)`; empty if both are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Piece {
    start: u32,
    end: u32,
}

impl Piece {
    fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Up to two pieces, apart from each other, in ascending order, empty ones last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead([Piece; 2]);

impl Ahead {
    /// Where the first piece starts.
    pub(super) fn start(self) -> Option<u32> {
        let [first, _] = self.0;
        (!first.is_empty()).then_some(first.start)
    }

    /// Where the last piece ends.
    pub(super) fn end(self) -> Option<u32> {
        let last = self.0.into_iter().rfind(|piece| !piece.is_empty());
        last.map(|piece| piece.end)
    }

    /// Takes out the pieces that begin at or before `complete`; returns how far the stream is
    /// complete with them.
    pub(super) fn join(&mut self, mut complete: u32) -> u32 {
        for _ in 0..self.0.len() {
            let [first, second] = self.0;
            if first.is_empty() || distance(first.start, complete) > 0 {
                break;
            }
            if distance(first.end, complete) > 0 {
                complete = first.end;
            }
            self.0 = [second, Piece::default()];
        }
        complete
    }

    /// Keeps `[start, end)`, which lies beyond `base`; joined with the pieces it touches. Of three
    /// pieces the later two become one, and the hole between them is forgotten.
    pub(super) fn hold(&mut self, base: u32, start: u32, end: u32) {
        let offset = |number: u32| number.wrapping_sub(base);
        let mut new = Piece { start, end };
        for held in &mut self.0 {
            let apart =
                offset(held.start) > offset(new.end) || offset(held.end) < offset(new.start);
            if !held.is_empty() && !apart {
                if offset(held.start) < offset(new.start) {
                    new.start = held.start;
                }
                if offset(held.end) > offset(new.end) {
                    new.end = held.end;
                }
                *held = Piece::default();
            }
        }
        let before = |one: Piece, other: Piece| offset(one.start) < offset(other.start);
        let [first, second] = match self.0 {
            [first, second] if first.is_empty() => [second, first],
            both => both,
        };
        self.0 = if first.is_empty() {
            [new, first]
        } else if before(new, first) {
            let later = if second.is_empty() {
                first.end
            } else {
                second.end
            };
            [
                new,
                Piece {
                    start: first.start,
                    end: later,
                },
            ]
        } else if second.is_empty() {
            [first, new]
        } else if before(new, second) {
            [
                first,
                Piece {
                    start: new.start,
                    end: second.end,
                },
            ]
        } else {
            [
                first,
                Piece {
                    start: second.start,
                    end: new.end,
                },
            ]
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Ahead, Piece};

    #[test]
    fn pieces_stay_apart_in_order_and_join_where_they_touch() {
        check(&[(30, 40)], &[(30, 40)]);
        check(&[(30, 40), (10, 20)], &[(10, 20), (30, 40)]);
        check(&[(10, 20), (30, 40)], &[(10, 20), (30, 40)]);
        check(&[(10, 20), (20, 30)], &[(10, 30)]);
        check(&[(10, 20), (5, 15)], &[(5, 20)]);
        check(&[(10, 20), (30, 40), (15, 35)], &[(10, 40)]);
        check(&[(10, 20), (30, 40), (38, 50)], &[(10, 20), (30, 50)]);
        check(&[(10, 20), (30, 40), (12, 18)], &[(10, 20), (30, 40)]);
    }

    #[test]
    fn a_third_piece_joins_the_later_two() {
        check(&[(10, 20), (30, 40), (50, 60)], &[(10, 20), (30, 60)]);
        check(&[(10, 20), (50, 60), (30, 40)], &[(10, 20), (30, 60)]);
        check(&[(30, 40), (50, 60), (10, 20)], &[(10, 20), (30, 60)]);
    }

    #[test]
    fn completion_takes_what_it_reaches() {
        let mut ahead = hold(&[(10, 20), (30, 40)]);
        assert_eq!((ahead.start(), ahead.end()), (at(10), at(40)));
        assert_eq!(Some(ahead.join(BASE.wrapping_add(9))), at(9));
        assert_eq!(Some(ahead.join(BASE.wrapping_add(15))), at(20));
        assert_eq!(Some(ahead.join(BASE.wrapping_add(50))), at(50));
        assert_eq!((ahead.start(), ahead.end()), (None, None));
    }

    /// Close to the end of the sequence space, so that pieces lie on both sides of 0.
    const BASE: u32 = u32::MAX - 25;

    fn at(offset: u32) -> Option<u32> {
        Some(BASE.wrapping_add(offset))
    }

    fn hold(pieces: &[(u32, u32)]) -> Ahead {
        let mut ahead = Ahead::default();
        for (start, end) in pieces {
            ahead.hold(BASE, BASE.wrapping_add(*start), BASE.wrapping_add(*end));
        }
        ahead
    }

    fn check(pieces: &[(u32, u32)], expected: &[(u32, u32)]) {
        let held = hold(pieces).0.into_iter().filter(|piece| !piece.is_empty());
        let offset = |number: u32| number.wrapping_sub(BASE);
        let held: Vec<_> = held
            .map(|Piece { start, end }| (offset(start), offset(end)))
            .collect();
        assert_eq!(held, expected, "{pieces:?}");
    }
}
