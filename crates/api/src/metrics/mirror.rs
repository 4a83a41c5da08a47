//! Dynamic mirroring: grades, decisions, blind time, money, calls. Nothing here says what is to
//! come.

use vxscope_report::{Oversight, Reasons};

use super::text::Text;

/// The grades that a mirror can have, lowest first.
const GRADES: [&str; 5] = ["off", "sentinel", "essential", "truncated", "full"];

/// Writes everything, if somebody looks after the mirrors.
pub(super) fn write(text: &mut Text, oversight: &Oversight) {
    if oversight.mode.is_empty() {
        return;
    }
    text.family(
        "mirror_mode",
        "Who decides about mirrors: 1 for the mode in force.",
        false,
    );
    for mode in ["manual", "shadow", "dynamic"] {
        text.sample(&[("mode", mode)], u8::from(mode == oversight.mode));
    }
    text.family("mirrors", "Mirrors that are looked after, by grade.", false);
    for grade in GRADES {
        let mirrors = oversight.mirrors.iter();
        let count = mirrors.filter(|it| it.grade == grade).count();
        text.sample(&[("grade", grade)], count);
    }
    text.gauge(
        "mirrors_pinned",
        "Mirrors that somebody or something keeps full.",
        oversight.mirrors.iter().filter(|it| it.pinned).count(),
    );
    decisions(text, oversight);
    text.family(
        "mirror_blind_seconds",
        "Time in which evidence was not mirrored on purpose, all sources together.",
        true,
    );
    for (class, seconds) in &oversight.blind_seconds {
        text.sample(&[("class", class)], seconds);
    }
    text.gauge(
        "mirror_overrun_seconds",
        "The longest that evidence was hidden beyond its bound; control may take 120.",
        oversight.overrun_max_seconds,
    );
    money(text, oversight);
}

fn decisions(text: &mut Text, oversight: &Oversight) {
    text.family(
        "mirror_decisions",
        "Wishes that the gate granted or refused, and raises that it forced.",
        true,
    );
    let mut outcome = |outcome: &str, counts: &Reasons| {
        for (reason, count) in counts {
            text.sample(&[("outcome", outcome), ("reason", reason)], count);
        }
    };
    outcome("granted", &oversight.granted);
    outcome("refused", &oversight.refused);
    outcome("forced", &oversight.forced);
    text.family(
        "mirror_api_calls",
        "Calls that changed or read mirrors.",
        true,
    );
    for (action, count) in &oversight.calls {
        text.sample(&[("action", action)], count);
    }
    text.counter(
        "mirror_decisions_forgotten",
        "Decisions that nobody could write down in time.",
        oversight.decisions_forgotten,
    );
}

fn money(text: &mut Text, oversight: &Oversight) {
    for (name, help, (low, high)) in [
        (
            "mirror_spent_dollars",
            "What mirrors cost in this run, by the lowest and the highest reading of the prices.",
            oversight.spent_usd,
        ),
        (
            "mirror_saved_dollars",
            "What pauses saved in this run.",
            oversight.saved_usd,
        ),
    ] {
        text.family(name, help, false);
        text.sample(&[("reading", "low")], low);
        text.sample(&[("reading", "high")], high);
    }
}
