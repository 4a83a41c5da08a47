//! A clock that does not jump, and goes on while the machine sleeps.

use vxscope_units::Timestamp;

/// Time since the machine began; `None` if the system does not tell.
pub(crate) fn steady() -> Option<Timestamp> {
    parse(&std::fs::read_to_string("/proc/uptime").ok()?)
}

fn parse(text: &str) -> Option<Timestamp> {
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let nanos = hundredths.parse::<u64>().ok().filter(|it| *it < 100)? * 10_000_000;
    Some(Timestamp::new(seconds.parse().ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_read_to_the_hundredth() {
        assert_eq!(
            parse("350735.47 234388.90\n"),
            Some(Timestamp::new(350_735, 470_000_000))
        );
        for wrong in ["", "x.y z", "12", "1.234 5"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert!(steady().unwrap() > Timestamp::ZERO);
    }
}
