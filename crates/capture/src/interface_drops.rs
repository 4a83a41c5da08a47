//! What an interface dropped before anybody saw it.

use std::fs;

/// Packets of all kinds that an interface has dropped since somebody began to watch: it found no
/// room for them or did not know their protocol. They are lost before any socket or ring, which
/// therefore count none of them.
#[derive(Clone, Debug)]
pub struct InterfaceDrops {
    name: String,
    before: u64,
}

impl InterfaceDrops {
    /// From now on.
    #[must_use]
    pub fn watch(name: &str) -> Self {
        let name = name.to_owned();
        let before = dropped(&name).unwrap_or(0);
        Self { name, before }
    }

    /// How many; `None` if the interface is not there.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        Some(dropped(&self.name)?.saturating_sub(self.before))
    }
}

/// `rx_dropped + rx_missed_errors + rx_fifo_errors`, as the kernel's table of interfaces has them.
fn dropped(name: &str) -> Option<u64> {
    parse(&fs::read_to_string("/proc/thread-self/net/dev").ok()?, name)
}

fn parse(table: &str, name: &str) -> Option<u64> {
    let rows = table.lines().filter_map(|line| line.split_once(':'));
    let (_, row) = rows
        .map(|(it, row)| (it.trim(), row))
        .find(|(it, _)| *it == name)?;
    // Received: bytes, packets, errors, drop, fifo, ...
    let mut columns = row.split_whitespace().skip(3);
    let mut next = || columns.next()?.parse::<u64>().ok();
    Some(next()?.saturating_add(next()?))
}

#[cfg(test)]
mod tests {
    use super::{InterfaceDrops, parse};

    #[test]
    fn drops_and_full_queues_of_one_interface_count() {
        let table = "Inter-|   Receive\n face |bytes packets errs drop fifo frame\n    lo: 1 2 3 4 5 6 7\n  ens5:10 20 30 40 50 0\n";
        assert_eq!(parse(table, "lo"), Some(9));
        assert_eq!(parse(table, "ens5"), Some(90));
        assert_eq!(parse(table, "ens"), None);
        assert_eq!(parse(table, " face |bytes"), None);
    }

    #[test]
    fn an_interface_that_is_not_there_has_no_count() {
        assert_eq!(InterfaceDrops::watch("nosuch0").count(), None);
        assert!(InterfaceDrops::watch("lo").count().is_some());
    }
}
