//! Who else receives on our ports.
//!
//! At the start the kernel keeps others away. Later a process of the same user may bind one of our
//! addresses more narrowly than we did, and takes what comes there in silence.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use vxscope_capture::udp::{Holder, UdpGroup};

/// How often somebody looks: reading two tables of the kernel, while nobody is there.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Most that are told of.
const TOLD_MAX: usize = 16;

/// The ports, and who was seen there.
#[derive(Debug)]
pub(crate) struct Neighbours {
    ports: Vec<SocketAddr>,
    seen: BTreeSet<Holder>,
    next: Duration,
}

impl Neighbours {
    pub(crate) fn new(address: IpAddr, groups: &[UdpGroup]) -> Self {
        let ports = groups
            .iter()
            .map(|group| SocketAddr::new(address, group.port));
        Self {
            ports: ports.collect(),
            seen: BTreeSet::new(),
            next: LOOK_EVERY,
        }
    }

    /// Sentences about those who are new, once in a while.
    pub(crate) fn poll(&mut self, elapsed: Duration) -> Vec<String> {
        if elapsed < self.next {
            return Vec::new();
        }
        self.next = elapsed + LOOK_EVERY;
        self.look()
    }

    /// Sentences about all that were seen, also by a last look now.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.look();
        self.seen.iter().map(warning).collect()
    }

    fn look(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        for holder in self.ports.iter().flat_map(|port| Holder::find(*port)) {
            if self.seen.len() < TOLD_MAX && !self.seen.contains(&holder) {
                warnings.push(warning(&holder));
                self.seen.insert(holder);
            }
        }
        warnings
    }
}

fn warning(holder: &Holder) -> String {
    format!(
        "{holder} has a socket on UDP {} as well: what comes there may be missing here; stop it",
        holder.address()
    )
}

#[cfg(test)]
mod tests {
    use super::{Duration, LOOK_EVERY, Neighbours};

    #[test]
    fn nobody_looks_all_the_time() {
        let mut neighbours = Neighbours::new([127, 0, 0, 1].into(), &[]);
        assert_eq!(neighbours.next, LOOK_EVERY);
        neighbours.poll(LOOK_EVERY - Duration::from_nanos(1));
        assert_eq!(neighbours.next, LOOK_EVERY);
        neighbours.poll(LOOK_EVERY);
        assert_eq!(neighbours.next, LOOK_EVERY * 2);
    }
}
