//! Captured bytes of one source by direction and label: every byte is in exactly one cell.

use vxscope_flow::{Crossing, Label};

const CROSSINGS: usize = 3;

/// Bytes by [`Crossing`] and [`Label`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells([u64; CROSSINGS * Label::COUNT]);

impl Default for Cells {
    fn default() -> Self {
        Self([0; CROSSINGS * Label::COUNT])
    }
}

#[inline]
fn place(crossing: Crossing, label: Label) -> usize {
    let row = match crossing {
        Crossing::Ingress => 0,
        Crossing::Egress => Label::COUNT,
        Crossing::Unknown => 2 * Label::COUNT,
    };
    row + label.index()
}

impl Cells {
    /// Adds bytes to one cell.
    #[inline]
    pub fn add(&mut self, crossing: Crossing, label: Label, bytes: u64) {
        if let Some(cell) = self.0.get_mut(place(crossing, label)) {
            *cell += bytes;
        }
    }

    /// Moves bytes that bore a label for the time being.
    pub fn relabel(&mut self, crossing: Crossing, [from, to]: [Label; 2], bytes: u64) {
        if let Some(cell) = self.0.get_mut(place(crossing, from)) {
            let moved = bytes.min(*cell);
            *cell -= moved;
            self.add(crossing, to, moved);
        }
    }

    /// Bytes in one cell.
    #[must_use]
    pub fn get(&self, crossing: Crossing, label: Label) -> u64 {
        self.0.get(place(crossing, label)).copied().unwrap_or(0)
    }

    /// Bytes that crossed the interface in one direction.
    #[must_use]
    pub fn crossed(&self, crossing: Crossing) -> u64 {
        let row = self.0.iter().skip(place(crossing, Label::NONE));
        row.take(Label::COUNT).sum()
    }

    /// Bytes that bear one label.
    #[must_use]
    pub fn labelled(&self, label: Label) -> u64 {
        [Crossing::Ingress, Crossing::Egress, Crossing::Unknown]
            .iter()
            .map(|crossing| self.get(*crossing, label))
            .sum()
    }

    /// All bytes.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds another worker's or source's cells.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cells;
    use vxscope_flow::{Crossing, Label};

    #[test]
    fn every_byte_is_in_one_cell_and_moves_whole() {
        let [dns, web] = [0, 3].map(|number| Label::new(number).unwrap());
        let mut cells = Cells::default();
        cells.add(Crossing::Ingress, Label::UNDECIDED, 60);
        cells.add(Crossing::Egress, Label::NONE, 42);
        cells.add(Crossing::Unknown, dns, 7);
        cells.relabel(Crossing::Ingress, [Label::UNDECIDED, web], 60);
        assert_eq!(cells.get(Crossing::Ingress, web), 60);
        assert_eq!(cells.labelled(Label::UNDECIDED), 0);
        assert_eq!([cells.labelled(web), cells.labelled(dns)], [60, 7]);
        let crossed = [Crossing::Ingress, Crossing::Egress, Crossing::Unknown];
        assert_eq!(crossed.map(|crossing| cells.crossed(crossing)), [60, 42, 7]);
        let mut both = cells;
        both.merge(&cells);
        assert_eq!((cells.sum(), both.sum()), (109, 218));
    }

    #[test]
    fn no_more_is_moved_than_is_there() {
        let mut cells = Cells::default();
        cells.add(Crossing::Ingress, Label::UNDECIDED, 60);
        cells.relabel(Crossing::Ingress, [Label::UNDECIDED, Label::NONE], 100);
        assert_eq!(cells.sum(), 60);
    }
}
