//! The UDP ports on which a kind of tunnel is expected.

/// A set of at most [`Ports::CAPACITY`] UDP ports, looked up once per packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports([u16; Self::CAPACITY]);

impl Ports {
    /// How many ports a set holds: one cache-resident comparison each; a fifth is refused.
    pub const CAPACITY: usize = 4;

    /// No port: this kind of tunnel is not opened.
    pub const NONE: Self = Self([0; Self::CAPACITY]);

    /// The set of one port; port 0 is never matched.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        Self([port, 0, 0, 0])
    }

    /// `None` if a port is 0 or there are more than [`Ports::CAPACITY`]; duplicates are harmless.
    #[must_use]
    pub fn try_new(ports: &[u16]) -> Option<Self> {
        let mut slots = [0; Self::CAPACITY];
        slots.get_mut(..ports.len())?.copy_from_slice(ports);
        (!ports.contains(&0)).then_some(Self(slots))
    }

    /// Whether `port` is in the set.
    #[must_use]
    #[inline]
    pub fn contains(self, port: u16) -> bool {
        // Free slots hold 0, which is no valid destination port (RFC 768).
        let [a, b, c, d] = self.0;
        port != 0 && (port == a) | (port == b) | (port == c) | (port == d)
    }

    /// The ports, in the order given.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        self.0.into_iter().filter(|port| *port != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Ports;

    #[test]
    fn holds_what_it_was_given_and_nothing_else() {
        let ports = Ports::try_new(&[4789, 8472]).unwrap();
        assert!(ports.contains(4789) && ports.contains(8472));
        assert!(!ports.contains(6081) && !ports.contains(0));
        assert_eq!(ports.iter().collect::<Vec<_>>(), [4789, 8472]);
        assert_eq!(Ports::NONE.iter().count(), 0);
        assert!(!Ports::NONE.contains(0));
    }

    #[test]
    fn refuses_a_fifth_port_and_port_zero() {
        assert_eq!(
            Ports::try_new(&[1, 2, 3, 4]).map(|ports| ports.iter().count()),
            Some(4)
        );
        assert_eq!(Ports::try_new(&[1, 2, 3, 4, 5]), None);
        assert_eq!(Ports::try_new(&[4789, 0]), None);
    }
}
