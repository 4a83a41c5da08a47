//! What sinks have counted so far, for whoever looks while they work.

use std::sync::{Arc, Mutex, PoisonError};

use vxscope_export::{Offered, SinkCount};

/// All seats. Clones are the same board.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Vec<(String, Offered, Seat)>>>);

/// Where one part of a sink's ledger is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seat(Arc<Mutex<SinkCount>>);

impl Board {
    /// A new seat; those of one name are parts of one ledger.
    pub(crate) fn seat(&self, name: &str, offered: Offered) -> Seat {
        let seat = Seat::default();
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seats.push((name.to_owned(), offered, seat.clone()));
        seat
    }

    /// Every sink's name, what it is offered, and its ledger.
    pub(crate) fn read(&self) -> Vec<(String, Offered, SinkCount)> {
        let seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sinks: Vec<(String, Offered, SinkCount)> = Vec::new();
        for (name, offered, seat) in seats.iter() {
            let count = seat.0.lock().unwrap_or_else(PoisonError::into_inner);
            match sinks.iter_mut().find(|(known, _, _)| known == name) {
                Some((_, _, sum)) => sum.merge(&count),
                None => sinks.push((name.clone(), *offered, *count)),
            }
        }
        sinks
    }
}

impl Seat {
    /// Replaces what is shown.
    pub(crate) fn show(&self, count: &SinkCount) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = *count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_sink_are_added_up() {
        let board = Board::default();
        let mut count = SinkCount::default();
        count.add_written(3);
        for name in ["eve", "tap=a", "tap=a"] {
            let seat = board.seat(name, Offered::Frames);
            seat.show(&SinkCount::default());
            seat.show(&count);
        }
        let sums = board.read().into_iter();
        let sums: Vec<_> = sums.map(|(name, _, sum)| (name, sum.written())).collect();
        assert_eq!(sums, [("eve".to_owned(), 3), ("tap=a".to_owned(), 6)]);
    }
}
